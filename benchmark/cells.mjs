// The cells of one part, in rounds. Within a round the contestants run one after the other, so that
// a slow time of the machine affects all of them. Every other round runs in reverse order, so that
// no contestant follows one other in every round.

import { spawnSync } from 'node:child_process'
import { runCell } from './cell.mjs'
import { cellText } from './report.mjs'

/** Writes what the cell before has left in the page cache. The next cell would be measured with it. */
const flush = ({ folder }) => spawnSync('sync', ['-f', folder], { stdio: 'ignore' })

/** A contestant that can't be measured at all gets a cell with its error, and the run goes on. */
const measured = async (spec) => {
	try {
		return await runCell(spec)
	} catch (error) {
		const { contestant, place, processes } = spec
		const { name, base, durable } = contestant
		const errors = { [error.code ?? error.message]: 1 }
		return { contestant: name, base, durable, place, processes, opsPerSecond: 0, errors, lost: 0 }
	}
}

export const runCells = async (specs, { settings, print }) => {
	const cells = []
	for (let round = 1; round <= settings.rounds; round++) {
		for (const spec of round % 2 === 1 ? specs : specs.toReversed()) {
			flush(spec)
			const cell = { round, ...(await measured(spec)) }
			cells.push(cell)
			print(cellText(cell, settings.rounds))
		}
	}
	return cells
}
