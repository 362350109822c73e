// How long the next update takes after the holder of the lock was killed.

import { fork } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { nextMessage, track, whenClosed } from './processes.mjs'
import { countBeats, heartbeat, writeFreshRegistry } from './registry-file.mjs'
import { median } from './statistics.mjs'

const { updateRegistry, updateRegistrySync } = createRequire(import.meta.url)('../index.js')

const ROUNDS = 20

const holderScript = fileURLToPath(new URL('./children/holder.mjs', import.meta.url))

const killAHolder = async (path) => {
	const holder = track(fork(holderScript, [path]))
	await nextMessage(holder)
	holder.kill('SIGKILL')
	await whenClosed(holder)
}

/** With the default options, so durable. */
export const measureRecovery = async (folder) => {
	const path = join(mkdtempSync(join(folder, 'recovery-')), 'registry.json')
	writeFreshRegistry(path)
	const beat = heartbeat(0)
	await updateRegistry(path, beat)
	const samples = { sync: [], async: [] }
	for (let round = 0; round < ROUNDS; round++) {
		for (const [kind, update] of [
			['sync', updateRegistrySync],
			['async', updateRegistry],
		]) {
			await killAHolder(path)
			const startedAt = performance.now()
			await update(path, beat)
			samples[kind].push(performance.now() - startedAt)
		}
	}
	const summary = (values) => ({ median: median(values), max: Math.max(...values) })
	return {
		rounds: ROUNDS,
		sync: summary(samples.sync),
		async: summary(samples.async),
		lost: 1 + 2 * ROUNDS - countBeats(path),
	}
}
