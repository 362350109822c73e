// One cell of the table: one contestant, so many processes, one round.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { killAll } from './processes.mjs'
import { countBeats, writeFreshRegistry } from './registry-file.mjs'
import { sum, summarise } from './statistics.mjs'

/** Time for the signal to reach all processes before the first update. */
const START_DELAY_MS = 30

/** A worker that takes this much longer than it was told hangs. */
const PATIENCE_MS = 120_000

const addUp = (counts) => {
	const total = {}
	for (const [code, count] of counts.flatMap(Object.entries)) {
		total[code] = (total[code] ?? 0) + count
	}
	return total
}

const evaluate = ({ contestant, processes }, outcomes, path) => {
	const results = outcomes.filter(({ value }) => value).map(({ value }) => value)
	const acknowledged = sum(results.map((result) => result.acknowledged))
	const times = results.map((result) => result.elapsedMs)
	const crashes = outcomes.filter(({ reason }) => reason).map(() => ({ CRASHED: 1 }))
	return {
		contestant: contestant.name,
		processes,
		opsPerSecond: acknowledged / (Math.max(...times) / 1000),
		...summarise(results.flatMap((result) => result.latencies)),
		fairness: Math.min(...times) / Math.max(...times),
		acknowledged,
		errors: addUp([...results.map(({ errors }) => errors), ...crashes]),
		lost: contestant.isFloor ? null : acknowledged - countBeats(path),
	}
}

export const runCell = async (cell, folder) => {
	const { contestant, processes, seconds, updates, pause } = cell
	// Alone, a process runs for a time. Several get the same work each, with pauses: otherwise a
	// lock that lets one process run while the others starve would look fast, for it is that one
	// which makes nearly all updates.
	const work = processes === 1 ? { seconds } : { updates, pause }
	const own = mkdtempSync(join(folder, 'cell-'))
	const path = join(own, 'registry.json')
	writeFreshRegistry(path)
	const timer = setTimeout(killAll, seconds * 1000 + PATIENCE_MS)
	try {
		const { durable } = contestant
		const workers = Array.from({ length: processes }, (_, index) =>
			contestant.start({ path, index, durable, ...work }),
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
