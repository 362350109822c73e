// What is undone when a test ends, last things first: a process that a test has started ends before the folder is removed in
// which it has files open. On Windows such a folder can't be removed.

import { once } from 'node:events'

/** @type {WeakMap<object, (() => unknown)[]>} */
const undoings = new WeakMap()

const undo = async (steps) => {
	const failures = []
	for (const step of steps.reverse()) {
		try {
			await step()
		} catch (error) {
			failures.push(error)
		}
	}
	if (failures.length > 0) throw failures[0]
}

/** Has a function called when the test ends, before those that were given earlier. */
export const cleanUp = (t, step) => {
	const steps = undoings.get(t)
	if (steps) return steps.push(step)
	const first = [step]
	undoings.set(t, first)
	t.after(() => undo(first))
}

/** Ends a child process, and waits until it is gone. */
export const killed = async (child) => {
	const { pid, exitCode, signalCode } = child
	if (pid === undefined || exitCode !== null || signalCode !== null) return
	const gone = once(child, 'exit')
	child.kill('SIGKILL')
	await gone
}
