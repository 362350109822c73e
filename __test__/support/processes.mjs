// Real processes for tests, controlled by messages, never by sleeps.

import assert from 'node:assert/strict'
import { execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { cleanUp, killed } from './cleanup.mjs'
import { asCommand, importPackage } from './script.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const root = join(here, '..', '..')

/** A child process that does the tasks of a file; ended with the test. */
export const puppet = (t, file = 'puppet.mjs', args = []) => {
	const child = fork(join(here, file), args)
	const events = []
	const waiting = []
	const deliver = (event) => {
		const next = waiting.shift()
		if (next) next(event)
		else events.push(event)
	}
	child.on('message', deliver)
	const exited = once(child, 'exit').then(([code, signal]) => {
		deliver({ event: 'exit', value: signal ?? code })
		return signal ?? code
	})
	cleanUp(t, () => killed(child))
	const next = () =>
		events.length > 0
			? Promise.resolve(events.shift())
			: new Promise((resolve) => waiting.push(resolve))
	return {
		pid: child.pid,
		/** Starts a task; `next` returns what it reports. */
		start: (task, details) => child.send({ task, ...details }),
		settle: () => child.send({ settle: true }),
		next,
		/** Waits for a certain event and fails on any other. */
		expect: async (event) => {
			const got = await next()
			if (got.event !== event) {
				throw new Error(`expected ${event}, got ${JSON.stringify(got)}`)
			}
			return got.value
		},
		signal: (signal) => process.kill(child.pid, signal),
		kill: async () => {
			child.kill('SIGKILL')
			return exited
		},
	}
}

/** Several puppets, ready. */
export const puppets = (t, count) => Array.from({ length: count }, () => puppet(t))

/** A program in tests/fixtures/, which is an example to cargo, from its code as it is now. */
export const rustExample = (name) => {
	// The features of scripts/test.mjs, whose run of the Rust tests has built the program with them.
	const features = ['--features', 'cli,tokio']
	const args = ['build', '--locked', '--quiet', ...features, '--example', name]
	execFileSync('cargo', args, { cwd: root, stdio: 'inherit' })
	return join(root, 'target', 'debug', 'examples', name)
}

/** Runs a module's text in a process that has nothing else to do. */
export const script = (
	t,
	text,
	{ prelude = importPackage, flags = [], wrap = (command) => command } = {},
) => {
	const { command, remove } = asCommand(`${prelude}\n${text}`, flags)
	const [file, ...args] = wrap(command)
	const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
	cleanUp(t, remove)
	cleanUp(t, () => killed(child))
	const lines = createInterface({ input: child.stdout })
	const exited = once(child, 'exit').then(([code, signal]) => signal ?? code)
	const gone = exited.then((how) => assert.fail(`it ended too early: ${how}`))
	gone.catch(() => {})
	return {
		child,
		exited,
		line: async () => (await Promise.race([once(lines, 'line'), gone]))[0],
	}
}

/** The pid of a process that is gone. */
export const deadPid = async () => {
	const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
	await once(child, 'exit')
	return child.pid
}
