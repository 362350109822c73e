// Makes one result per place, contestant and number of processes from the cells of all rounds.

import { floorOf } from './contestants.mjs'
import { median, spread, sum } from './statistics.mjs'

const total = (cells) => {
	const errors = {}
	for (const [code, count] of cells.flatMap((cell) => Object.entries(cell.errors))) {
		errors[code] = (errors[code] ?? 0) + count
	}
	return errors
}

/**
 * The median of what `compare` says of each round beside the floor of that round, as a slow time of the machine
 * slows both.
 */
const medianByFloor = (cells, floorCells, compare) => {
	const inEachRound = cells.flatMap((cell) => {
		const floor = floorCells.find(({ round }) => round === cell.round)
		return floor ? [compare(cell, floor)] : []
	})
	return inEachRound.length > 0 ? median(inEachRound) : Number.NaN
}

const medians = (cells) => {
	const of = (key) => cells.map((cell) => cell[key] ?? Number.NaN)
	return {
		opsPerSecond: median(of('opsPerSecond')),
		spread: spread(of('opsPerSecond')),
		slowest: Math.min(...of('opsPerSecond')),
		fastest: Math.max(...of('opsPerSecond')),
		p50: median(of('p50')),
		p99: median(of('p99')),
		worstP99: median(of('worstP99')),
		max: Math.max(...of('max')),
		fairness: median(of('fairness')),
		cpuMsPerCall: median(of('cpuMsPerCall')),
		acknowledged: sum(of('acknowledged')),
		errors: total(cells),
	}
}

const result = (cells, all) => {
	const [{ contestant, base, durable, place, processes, readers }] = cells
	const floorCells = all.filter(
		(cell) =>
			cell.place === place && cell.processes === 1 && cell.contestant === floorOf({ durable }),
	)
	const reads = cells.map((cell) => cell.reads).filter((each) => each !== undefined)
	return {
		contestant,
		base,
		durable,
		place,
		processes,
		...medians(cells),
		timesFloor: medianByFloor(
			cells,
			floorCells,
			(cell, floor) => floor.opsPerSecond / cell.opsPerSecond,
		),
		overFloorUs: medianByFloor(cells, floorCells, (cell, floor) => {
			const seconds = 1 / cell.opsPerSecond - 1 / floor.opsPerSecond
			return seconds * 1e6
		}),
		timesFloorP50: medianByFloor(cells, floorCells, (cell, floor) => cell.p50 / floor.p50),
		lost: base === 'floor' ? null : sum(cells.map(({ lost }) => lost)),
		...(reads.length > 0 && { readers, reads: medians(reads) }),
	}
}

export const combine = (cells) => {
	const groups = new Map()
	for (const cell of cells) {
		const key = [cell.place, cell.processes, cell.contestant].join()
		groups.set(key, [...(groups.get(key) ?? []), cell])
	}
	return [...groups.values()].map((group) => result(group, cells))
}

/** A timeout is how a bounded wait is meant to end. It is slow, and a target that is missed. */
const isDefect = (code) => code !== 'LOCK_TIMEOUT'

/**
 * Failures of this package's own contestants: an acknowledged update that is not there, a crash, a torn
 * read, or an error that is not a timeout.
 */
export const defects = (parts, isOwn) => {
	const found = []
	for (const [part, { results = [] }] of Object.entries(parts)) {
		for (const { contestant, processes, lost = 0, errors = {}, reads, failed } of results) {
			if (!isOwn(contestant)) continue
			const cell = `${part}, ${contestant}${processes ? `, ${processes} processes` : ''}`
			if (lost !== 0) found.push(`${cell}: lost ${lost}`)
			if (part === 'recovery' && failed > 0) found.push(`${cell}: ${failed} failed`)
			for (const [code, count] of Object.entries({ ...reads?.errors, ...errors })) {
				if (isDefect(code)) found.push(`${cell}: ${count} times ${code}`)
			}
		}
	}
	return found
}
