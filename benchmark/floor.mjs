// The bare system calls, by examples/syscall_floor.rs.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { track } from './processes.mjs'
import { sum } from './statistics.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const targetFolder = join(root, 'target')
const ending = process.platform === 'win32' ? '.exe' : ''
const program = join(targetFolder, 'release', 'examples', `syscall_floor${ending}`)

export const buildFloor = () => {
	const args = ['build', '--release', '--locked', '--quiet', '--example', 'syscall_floor']
	execFileSync('cargo', [...args, '--target-dir', targetFolder], { cwd: root, stdio: 'inherit' })
}

/** Starts a worker; resolves when it is ready, with the function that lets it go. */
export const startFloor = async ({ path, seconds, durable }) => {
	const args = [path, String(seconds), ...(durable ? ['--durable'] : [])]
	const child = track(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] }))
	const closed = once(child, 'close')
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
	const { value } = await Promise.race([lines.next(), closed])
	if (value !== 'ready') throw new Error(`${program} did not get ready`)
	return async () => {
		child.stdin.end('go\n')
		const latencies = []
		for await (const line of lines) latencies.push(Number(line) / 1e6)
		const [code] = await closed
		if (code !== 0) throw new Error(`${program} ended with code ${code}`)
		const elapsedMs = sum(latencies)
		return { latencies, acknowledged: latencies.length, elapsedMs, errors: {} }
	}
}
