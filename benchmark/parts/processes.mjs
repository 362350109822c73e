// Several processes in a closed loop without pauses, all started together; and the floor beside
// them, of one process.

import { runCells } from '../cells.mjs'

export const what = '2, 4, 10, 32 and 64 processes in a closed loop'

export const run = async (context) => {
	const { contestants, places, pace } = context
	const load = { kind: 'closed', seconds: pace.closedSeconds }
	const specs = places.flatMap((place) =>
		contestants.flatMap((contestant) => {
			const isMain = place.place === 'disk' && !contestant.durable
			const counts = isMain ? pace.processes : pace.processesElsewhere
			if (contestant.isFloor)
				return counts.length > 0 ? [{ contestant, ...place, processes: 1, load }] : []
			return counts.map((processes) => ({ contestant, ...place, processes, load }))
		}),
	)
	// So that all with the same number of processes follow one another.
	specs.sort((one, other) => one.processes - other.processes)
	return { cells: await runCells(specs, context) }
}
