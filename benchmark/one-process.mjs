// What one process does alone: many calls at once, a large registry, and waiting.

import { fork } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { create as createSeedLock } from './contestants/seed-lock.mjs'
import { nextMessage, track, whenClosed } from './processes.mjs'
import { countBeats, heartbeat, writeFreshRegistry } from './registry-file.mjs'
import { median } from './statistics.mjs'

const { heartbeatWatcher, readRegistry, updateRegistry } = createRequire(import.meta.url)(
	'../index.js',
)

const BURST = 1_000
const BURST_ROUNDS = 3
const LARGE = 10_000
const SAMPLES = 30

const freshRegistry = (folder, name, count) => {
	const path = join(mkdtempSync(join(folder, `${name}-`)), 'registry.json')
	writeFreshRegistry(path, count)
	return path
}

const burst = async (folder, update) => {
	const path = freshRegistry(folder, 'burst')
	const beat = heartbeat(0)
	const startedAt = performance.now()
	const calls = Array.from({ length: BURST }, () => update(path, beat))
	const settled = await Promise.allSettled(calls)
	const seconds = (performance.now() - startedAt) / 1_000
	const acknowledged = settled.filter(({ status }) => status === 'fulfilled').length
	return {
		opsPerSecond: acknowledged / seconds,
		failed: BURST - acknowledged,
		lost: acknowledged - countBeats(path),
	}
}

/** 1,000 calls at once: ours beside the seed's lock, in turns. */
const measureBurst = async (folder) => {
	const ours = (path, beat) => updateRegistry(path, beat, { durable: false })
	const rounds = []
	for (let round = 0; round < BURST_ROUNDS; round++) {
		rounds.push({
			argus: await burst(folder, ours),
			seed: await burst(folder, createSeedLock()),
		})
	}
	const of = (who, what) => median(rounds.map((round) => round[who][what]))
	return {
		calls: BURST,
		argus: { opsPerSecond: of('argus', 'opsPerSecond'), failed: of('argus', 'failed') },
		seed: { opsPerSecond: of('seed', 'opsPerSecond'), failed: of('seed', 'failed') },
		ratio: median(rounds.map(({ argus, seed }) => argus.opsPerSecond / seed.opsPerSecond)),
		lost: Math.max(...rounds.map(({ argus }) => Math.abs(argus.lost))),
	}
}

const timed = async (call) => {
	const startedAt = performance.now()
	await call()
	return performance.now() - startedAt
}

/** A heartbeat among 10,000 entries, beside reading and writing those bytes, in turns. */
const measureLarge = async (folder) => {
	const path = freshRegistry(folder, 'large', LARGE)
	const plain = freshRegistry(folder, 'plain', LARGE)
	const copy = () => {
		writeFileSync(`${plain}.new`, readFileSync(plain))
		renameSync(`${plain}.new`, plain)
	}
	const samples = { heartbeat: [], copy: [] }
	const beat = () => heartbeatWatcher(path, 'watcher-5000', { durable: false })
	await beat()
	for (let n = 0; n < SAMPLES; n++) {
		samples.copy.push(await timed(copy))
		samples.heartbeat.push(await timed(beat))
	}
	return {
		entries: LARGE,
		bytes: readFileSync(path).length,
		heartbeat: median(samples.heartbeat),
		copy: median(samples.copy),
	}
}

/** One hop to a thread of the addon's and back: reading a file that is not there. */
const measureHop = async (folder) => {
	const missing = join(folder, 'missing', 'registry.json')
	const hops = []
	for (let n = 0; n < 2_000; n++) hops.push(await timed(() => readRegistry(missing)))
	return { p50: median(hops.slice(500)) }
}

const idleScript = fileURLToPath(new URL('./children/idle.mjs', import.meta.url))

/** What a process costs that only has a heartbeat and a watch, between their events. */
const measureIdle = async (folder) => {
	const child = track(fork(idleScript, [freshRegistry(folder, 'idle')]))
	const result = await nextMessage(child)
	await whenClosed(child)
	return result
}

export const measureOneProcess = async (folder) => ({
	burst: await measureBurst(folder),
	large: await measureLarge(folder),
	hop: await measureHop(folder),
	idle: await measureIdle(folder),
})
