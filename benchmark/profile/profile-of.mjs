// What a row of samples says of one contestant.

import { componentOf } from './samples.mjs'

/** The part of a load that is left out at its beginning and at its end, when not all processes run. */
const MARGIN = 0.05

/**
 * The profile of a cell of the benchmark. `pid` is the process that has started the others: meanwhile it only waits,
 * and what it does is no part of an update. The samples before `startedAt` are those of the start-up.
 */
export const profileOf = async ({ pid, startedAt, cell }, samples, { seconds, frequency }) => {
	const from = startedAt + MARGIN * seconds * 1_000
	const to = startedAt + (1 - MARGIN) * seconds * 1_000
	const updates = (cell.opsPerSecond * (to - from)) / 1_000
	const components = new Map()
	let cpuUs = 0
	for await (const sample of samples) {
		if (sample.pid === pid || sample.ms < from || sample.ms >= to) continue
		const us = 1e6 / frequency / updates
		const name = componentOf(sample.frames)
		components.set(name, (components.get(name) ?? 0) + us)
		cpuUs += us
	}
	return {
		contestant: cell.contestant,
		processes: cell.processes,
		wallUs: 1e6 / cell.opsPerSecond,
		p50Us: cell.p50 * 1_000,
		cpuUs,
		components,
	}
}
