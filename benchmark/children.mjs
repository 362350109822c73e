// The programs that a run starts. The run keeps a handle of each, so that none outlives it.

import { execFileSync, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const targetFolder = join(root, 'target')
const executableSuffix = process.platform === 'win32' ? '.exe' : ''

/** A process that takes this much longer than its load hangs, and is killed. */
const HANG_TIMEOUT_MS = 120_000

const running = new Set()

export const track = (child, { load } = {}) => {
	const limit = (load?.seconds ?? 0) * 1_000 + HANG_TIMEOUT_MS
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

/** Waits for `exit`, as `close` never comes for a child that this process has disconnected from. */
const whenEnded = async (child) => {
	if (running.has(child)) await once(child, 'exit')
}

/** The next message of a child process. An error if the child ends without one. */
const nextMessage = (child) =>
	new Promise((resolve, reject) => {
		child.once('message', resolve)
		child.once('error', reject)
		// `exit` may come before a long message has been read.
		child.once('disconnect', () => reject(new Error('a process of the benchmark ended early')))
	})

const forkChild = (script, parameters, output = 'inherit') => {
	const file = fileURLToPath(new URL(`./children/${script}.mjs`, import.meta.url))
	const stdio = ['ignore', output, 'inherit', 'ipc']
	const options = { serialization: 'advanced', stdio }
	return track(fork(file, [JSON.stringify(parameters)], options), parameters)
}

/** Starts a program of children/. Resolves when it is ready, with a function that begins its load. */
export const startChild = async (script, parameters) => {
	const child = forkChild(script, parameters)
	await nextMessage(child)
	return async (startAt) => {
		child.send({ startAt })
		const result = await nextMessage(child)
		await whenEnded(child)
		return result
	}
}

/** A process of a contestant that is a module. */
export const startWorker = (parameters) => startChild('worker', parameters)

/** Starts a process that takes the lock. Resolves when it holds the lock, with how to kill it. */
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

/** Runs a program of children/ to its end, for its result. */
export const runChild = async (script, parameters) => {
	const child = forkChild(script, parameters)
	const result = await nextMessage(child)
	child.disconnect()
	await whenEnded(child)
	return result
}

/** The Rust programs in programs/, which are examples to cargo. */
const examples = ['syscall_floor', 'contestant', 'folder_store']

export const buildPrograms = () => {
	const args = ['build', '--release', '--locked', '--quiet', '--target-dir', targetFolder]
	for (const example of examples) args.push('--example', example)
	execFileSync('cargo', args, { cwd: root, stdio: 'inherit' })
}

/** The program of the crate for etcd. It waits for a server, so it gains nothing from the release profile's long build. */
const etcdProgram = join(targetFolder, 'counted', 'examples', `etcd_store${executableSuffix}`)

export const buildEtcdProgram = () => {
	const args = [
		'build',
		'--profile',
		'counted',
		'--locked',
		'--quiet',
		'--target-dir',
		targetFolder,
	]
	args.push('-p', 'argus-registry-etcd', '--example', 'etcd_store')
	execFileSync('cargo', args, { cwd: root, stdio: 'inherit' })
}

/** Runs it to its end, for its output. This process goes on meanwhile. */
export const runEtcdProgram = async (args) => {
	const child = track(spawn(etcdProgram, args, { stdio: ['ignore', 'pipe', 'inherit'] }))
	let text = ''
	child.stdout.setEncoding('utf8').on('data', (chunk) => {
		text += chunk
	})
	const [code] = await once(child, 'close')
	if (code !== 0) throw new Error(`${etcdProgram} ended with code ${code}`)
	return text
}

const programOf = (example) =>
	join(targetFolder, 'release', 'examples', `${example}${executableSuffix}`)

/** Runs a Rust program to its end, for its output. */
export const runExample = (example, args) =>
	execFileSync(programOf(example), args, {
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'inherit'],
		timeout: HANG_TIMEOUT_MS,
	})

/** Like `startWorker`, for a Rust program. It reads and writes lines. */
export const startProgram = async (example, parameters) => {
	const program = programOf(example)
	const stdio = ['pipe', 'pipe', 'inherit']
	const child = track(spawn(program, [JSON.stringify(parameters)], { stdio }), parameters)
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
