// One cell of the table: one contestant, so many processes, one round.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { killAll } from './processes.mjs'
import { countBeats, writeFreshRegistry } from './registry-file.mjs'
import { balancedPercentile, sum, summarise } from './statistics.mjs'

/** Time for the signal to reach all processes before the first update. */
const START_DELAY_MS = 30

/** A worker that takes this much longer than it was told hangs. */
const PATIENCE_MS = 30_000

const addUp = (counts) => {
	const total = {}
	for (const [code, count] of counts.flatMap(Object.entries)) {
		total[code] = (total[code] ?? 0) + count
	}
	return total
}

const evaluate = ({ contestant, processes, seconds }, outcomes, path) => {
	const results = outcomes.filter(({ value }) => value).map(({ value }) => value)
	const latencies = results.flatMap((result) => result.latencies)
	const waits = results.map((result) => [...result.latencies, ...result.rejected])
	const inTime = results.map((result) => result.inTime)
	const crashes = outcomes.filter(({ reason }) => reason).map(() => ({ CRASHED: 1 }))
	return {
		contestant: contestant.name,
		processes,
		opsPerSecond: sum(inTime) / seconds,
		...summarise(latencies),
		balancedP99: balancedPercentile(waits, 0.99),
		fairness: Math.min(...inTime) / Math.max(...inTime),
		acknowledged: latencies.length,
		errors: addUp([...results.map(({ errors }) => errors), ...crashes]),
		lost: contestant.isFloor ? null : latencies.length - countBeats(path),
	}
}

export const runCell = async (cell, folder) => {
	const { contestant, processes, seconds } = cell
	const own = mkdtempSync(join(folder, 'cell-'))
	const path = join(own, 'registry.json')
	writeFreshRegistry(path)
	const timer = setTimeout(killAll, seconds * 1000 + PATIENCE_MS)
	try {
		const { durable } = contestant
		const workers = Array.from({ length: processes }, (_, index) =>
			contestant.start({ path, index, seconds, durable }),
		)
		const started = await Promise.allSettled(workers)
		const startAt = Date.now() + START_DELAY_MS
		const runs = started.map(async ({ value: run, reason }) => {
			if (reason) throw reason
			return run(startAt)
		})
		return evaluate(cell, await Promise.allSettled(runs), path)
	} finally {
		clearTimeout(timer)
		rmSync(own, { recursive: true, force: true })
	}
}
