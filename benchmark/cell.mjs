// One cell of a table: one contestant, a number of processes, one load, one round.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { startWorker } from './children.mjs'
import { LatencyHistogram } from './latency-histogram.mjs'
import { freshRegistry } from './registry-file.mjs'
import { sum } from './statistics.mjs'

/** Time for the start message to reach the first process, and to reach each further one. */
const START_DELAY_MS = 30
const START_DELAY_EACH_MS = 2

const addUp = (counts) => {
	const total = {}
	for (const [code, count] of counts.flatMap(Object.entries)) {
		total[code] = (total[code] ?? 0) + count
	}
	return total
}

/** Of all processes that were started. One that crashed counts as an error. */
const evaluate = (settled) => {
	const results = settled.filter(({ value }) => value).map(({ value }) => value)
	const crashes = settled.filter(({ reason }) => reason).map(() => ({ CRASHED: 1 }))
	const windowMs = Math.max(...results.map((result) => result.windowMs))
	const within = results.map((result) => result.within)
	const latencies = new LatencyHistogram()
	let worstP99 = Number.NEGATIVE_INFINITY
	for (const result of results) {
		const own = LatencyHistogram.of(result.latencies)
		worstP99 = Math.max(worstP99, own.percentile(99))
		latencies.add(own)
	}
	return {
		opsPerSecond: results.length > 0 ? sum(within) / (windowMs / 1_000) : Number.NaN,
		...latencies.summary,
		worstP99,
		fairness: Math.min(...within) / Math.max(...within),
		acknowledged: sum(results.map((result) => result.acknowledged)),
		cpuMsPerCall: sum(results.map((result) => result.cpuMs ?? Number.NaN)) / latencies.count,
		errors: addUp([...results.map(({ errors }) => errors), ...crashes]),
		perProcess: within,
		latencies,
	}
}

/** Each process is ready before any one begins. A process that did not get ready has crashed. */
const runTogether = async (starting) => {
	const started = await Promise.allSettled(starting)
	const startAt = Date.now() + START_DELAY_MS + START_DELAY_EACH_MS * started.length
	return Promise.allSettled(
		started.map(async ({ value: run, reason }) => {
			if (reason) throw reason
			return run(startAt)
		}),
	)
}

/** The load of one process of several. In an open loop, their calls are spread over the period. */
const loadOf = (load, index, count) =>
	load.kind === 'open' ? { ...load, phaseMs: (load.periodMs * index) / count } : load

export const runCell = async ({ contestant, processes, readers = 0, load, place, folder }) => {
	const own = mkdtempSync(join(folder, 'cell-'))
	const path = join(own, 'registry.json')
	const { base, durable, script } = contestant
	try {
		const { prepare, countBeats } = await contestant.load()
		await prepare(path, freshRegistry(processes))
		const writers = Array.from({ length: processes }, (_, index) =>
			contestant.start({ path, index, durable, load: loadOf(load, index, processes) }),
		)
		const reading = Array.from({ length: readers }, (_, index) =>
			startWorker({ script, role: 'read', path, index, load }),
		)
		const settled = await runTogether([...writers, ...reading])
		const written = evaluate(settled.slice(0, processes))
		const lost = contestant.isFloor ? null : written.acknowledged - (await countBeats(path))
		const cell = { contestant: contestant.name, base, durable, place, processes, ...written, lost }
		return readers > 0 ? { ...cell, readers, reads: evaluate(settled.slice(processes)) } : cell
	} finally {
		rmSync(own, { recursive: true, force: true, maxRetries: 5 })
	}
}
