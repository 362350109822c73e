// From the cells of all rounds to one result per contestant and number of processes.

import { contestants, floorOf } from './contestants.mjs'
import { median, spread, sum } from './statistics.mjs'

const total = (cells) => {
	const errors = {}
	for (const [code, count] of cells.flatMap((cell) => Object.entries(cell.errors))) {
		errors[code] = (errors[code] ?? 0) + count
	}
	return errors
}

/**
 * How many times as long as the floor, in each round with the floor of that same round: what
 * slows the machine down for a while slows both.
 */
const ratios = (cells, floorCells, ratio) => {
	const inEachRound = cells.flatMap((cell) => {
		const floor = floorCells.find(({ round }) => round === cell.round)
		return floor ? [ratio(cell, floor)] : []
	})
	return inEachRound.length > 0 ? median(inEachRound) : Number.NaN
}

const result = (contestant, processes, allCells) => {
	const of = ({ name }, count) =>
		allCells.filter((cell) => cell.contestant === name && cell.processes === count)
	const cells = of(contestant, processes)
	if (cells.length === 0) return []
	const floorCells = of(floorOf(contestant), 1)
	const values = (key) => cells.map((cell) => cell[key])
	return {
		contestant: contestant.name,
		processes,
		opsPerSecond: median(values('opsPerSecond')),
		spread: spread(values('opsPerSecond')),
		p50: median(values('p50')),
		p99: median(values('p99')),
		max: Math.max(...values('max')),
		timesFloor: ratios(cells, floorCells, (cell, floor) => floor.opsPerSecond / cell.opsPerSecond),
		timesFloorP50: ratios(cells, floorCells, (cell, floor) => cell.p50 / floor.p50),
		fairness: median(values('fairness')),
		acknowledged: sum(values('acknowledged')),
		errors: total(cells),
		lost: contestant.isFloor ? null : sum(values('lost')),
	}
}

export const combine = (cells, processCounts) =>
	processCounts.flatMap((count) =>
		contestants.flatMap((contestant) => result(contestant, count, cells)),
	)

/** What must never happen to ours: that an acknowledged update is not there, or a crash. */
export const defects = (results, recovery, { burst }) => {
	const ours = new Set(contestants.filter(({ ours }) => ours).map(({ name }) => name))
	const found = results
		.filter(({ contestant }) => ours.has(contestant))
		.filter(({ lost, errors }) => lost !== 0 || errors.CRASHED)
		.map(({ contestant, processes, lost, errors: { CRASHED: crashed = 0 } }) => {
			return `${contestant}, ${processes} processes: lost ${lost}, crashed ${crashed}`
		})
	if (recovery.lost !== 0) found.push(`after SIGKILL: lost ${recovery.lost}`)
	if (burst.lost !== 0) found.push(`${burst.calls} calls at once: lost ${burst.lost}`)
	return found
}
