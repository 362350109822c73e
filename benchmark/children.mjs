// The programs that a run starts: known by their handles, so that none outlives the run.

import { execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const targetFolder = join(root, 'target')
const ending = process.platform === 'win32' ? '.exe' : ''

/** A process that takes this much longer than it was told hangs, and is killed. */
const PATIENCE_MS = 120_000

const running = new Set()

const track = (child, { load } = {}) => {
	const limit = (load?.seconds ?? 0) * 1_000 + PATIENCE_MS
	const timer = setTimeout(() => child.kill('SIGKILL'), limit)
	running.add(child)
	child.once('exit', () => {
		clearTimeout(timer)
		running.delete(child)
	})
	return child
}

export const killAll = () => {
	for (const child of running) child.kill('SIGKILL')
}

/** Not `close`, which never comes for a child that was disconnected from here. */
const whenEnded = async (child) => {
	if (running.has(child)) await once(child, 'exit')
}

/** The next message of a child process; an error if it ends without one. */
const nextMessage = (child) =>
	new Promise((resolve, reject) => {
		child.once('message', resolve)
		child.once('error', reject)
		// Not `exit`, which may come before a long message has been read.
		child.once('disconnect', () => reject(new Error('a process of the benchmark ended early')))
	})

const forkChild = (script, settings, output = 'inherit') => {
	const file = fileURLToPath(new URL(`./children/${script}.mjs`, import.meta.url))
	const stdio = ['ignore', output, 'inherit', 'ipc']
	const options = { serialization: 'advanced', stdio }
	return track(fork(file, [JSON.stringify(settings)], options), settings)
}

/** Starts a worker; resolves when it is ready, with the function that lets it go. */
export const startNode = async (script, settings) => {
	const child = forkChild(script, settings)
	await nextMessage(child)
	return async (startAt) => {
		child.send({ startAt })
		const result = await nextMessage(child)
		await whenEnded(child)
		return result
	}
}

/** Starts a process that takes the lock; resolves when it has it, with how to end it. */
export const startHolder = async (script, path) => {
	const child = forkChild('holder', { script, path }, 'pipe')
	const closed = once(child, 'close')
	const [isHeld] = await Promise.race([once(child.stdout, 'data'), closed.then(() => [])])
	if (!isHeld) throw new Error(`a holder of ${script} ended early`)
	return {
		kill: async () => {
			child.kill('SIGKILL')
			await closed
		},
	}
}

/** What a child process finds out. */
export const ask = async (script, settings) => {
	const child = forkChild(script, settings)
	const result = await nextMessage(child)
	child.disconnect()
	await whenEnded(child)
	return result
}

/** The Rust programs in programs/, which are examples to cargo. */
const examples = ['syscall_floor', 'contestant']

export const buildPrograms = () => {
	const args = ['build', '--release', '--locked', '--quiet', '--target-dir', targetFolder]
	for (const example of examples) args.push('--example', example)
	execFileSync('cargo', args, { cwd: root, stdio: 'inherit' })
}

/** The same for a Rust program, which is talked to in lines. */
export const startProgram = async (example, settings) => {
	const program = join(targetFolder, 'release', 'examples', `${example}${ending}`)
	const stdio = ['pipe', 'pipe', 'inherit']
	const child = track(spawn(program, [JSON.stringify(settings)], { stdio }), settings)
	const closed = once(child, 'close')
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
	const { value } = await Promise.race([lines.next(), closed])
	if (value !== 'ready') throw new Error(`${program} did not get ready`)
	return async (startAt) => {
		child.stdin.end(`${startAt}\n`)
		const { value: answer } = await lines.next()
		const [code] = await closed
		if (code !== 0) throw new Error(`${program} ended with code ${code}`)
		return JSON.parse(answer)
	}
}
