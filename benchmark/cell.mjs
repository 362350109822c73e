// One cell of a table: one contestant, so many processes, one load, one round.

import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { startNode } from './children.mjs'
import { freshRegistry } from './registry-file.mjs'
import { histogram, largest, smallest, sum, summarise } from './statistics.mjs'

/** Time for the signal to reach a process before the first call; and to each further one. */
const START_DELAY_MS = 30
const START_DELAY_EACH_MS = 2

const addUp = (counts) => {
	const total = {}
	for (const [code, count] of counts.flatMap(Object.entries)) {
		total[code] = (total[code] ?? 0) + count
	}
	return total
}

/** Of all that were started; one that crashed counts as an error, and the others go on. */
const evaluate = (outcomes) => {
	const results = outcomes.filter(({ value }) => value).map(({ value }) => value)
	const crashes = outcomes.filter(({ reason }) => reason).map(() => ({ CRASHED: 1 }))
	const windowMs = largest(results.map((result) => result.windowMs))
	const within = results.map((result) => result.within)
	const latencies = results.flatMap((result) => Array.from(result.latencies))
	return {
		opsPerSecond: results.length > 0 ? sum(within) / (windowMs / 1_000) : Number.NaN,
		...summarise(latencies),
		worstP99: largest(results.map((result) => summarise(result.latencies).p99)),
		fairness: smallest(within) / largest(within),
		acknowledged: sum(results.map((result) => result.acknowledged)),
		cpuMsPerCall: sum(results.map((result) => result.cpuMs ?? Number.NaN)) / latencies.length,
		errors: addUp([...results.map(({ errors }) => errors), ...crashes]),
		perProcess: within,
		histogram: histogram(latencies),
	}
}

/** All are ready before one begins; those that did not get ready have crashed. */
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

/** The load of one of several: in an open one, they don't all call at once. */
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
			startNode('worker', { script, role: 'read', path, index, load }),
		)
		const outcomes = await runTogether([...writers, ...reading])
		const written = evaluate(outcomes.slice(0, processes))
		const lost = contestant.isFloor ? null : written.acknowledged - (await countBeats(path))
		const cell = { contestant: contestant.name, base, durable, place, processes, ...written, lost }
		return readers > 0 ? { ...cell, readers, reads: evaluate(outcomes.slice(processes)) } : cell
	} finally {
		rmSync(own, { recursive: true, force: true, maxRetries: 5 })
	}
}
