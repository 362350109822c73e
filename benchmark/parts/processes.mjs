// Several processes in a closed loop without pauses, all started together; and the floor beside
// them, of one process.

import { runCells } from '../cells.mjs'

export const what = '2, 4, 10, 32 and 64 processes in a closed loop'

/** So near to another contestant's that a quarter of the time is better saved. */
const LEFT_OUT = ['argus-announce', 'crate-heartbeat']

/** In memory there is nothing to sync. */
const isPointless = (contestant, { place }) => contestant.durable && place === 'tmpfs'

export const run = async (context) => {
	const { contestants, places, pace } = context
	const load = { kind: 'closed', seconds: pace.closedSeconds }
	const specs = places.flatMap((place) =>
		contestants.flatMap((contestant) => {
			if (LEFT_OUT.includes(contestant.base) || isPointless(contestant, place)) return []
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
