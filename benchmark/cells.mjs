// The cells of one part, in rounds: all contestants take turns, so that what the machine does for
// a while hits all of them. Every other round goes backwards: nobody always follows the same one.

import { spawnSync } from 'node:child_process'
import { runCell } from './cell.mjs'
import { cellText } from './report.mjs'

/** What the cell before has left to be written is not the next one's work. */
const settle = ({ folder }) => spawnSync('sync', ['-f', folder], { stdio: 'ignore' })

/** One that can't be measured at all is said to have failed, and the others go on. */
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

export const runCells = async (specs, { pace, say }) => {
	const cells = []
	for (let round = 1; round <= pace.rounds; round++) {
		for (const spec of round % 2 === 1 ? specs : specs.toReversed()) {
			settle(spec)
			const cell = { round, ...(await measured(spec)) }
			cells.push(cell)
			say(cellText(cell, pace.rounds))
		}
	}
	return cells
}
