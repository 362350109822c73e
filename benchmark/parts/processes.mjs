// Several processes in a closed loop without pauses, all started together, and beside them the floor
// of one process.

import { runCells } from '../cells.mjs'

export const summary = '2, 4, 10, 32 and 64 processes in a closed loop'

/** Their numbers are near to another contestant's. Without them this part takes a quarter less time. */
const EXCLUDED = ['argus-announce', 'crate-heartbeat', 'crate-announce']

/** A file in memory has nothing to sync. */
const hasNothingToSync = (contestant, { place }) => contestant.durable && place === 'tmpfs'

export const run = async (context) => {
	const { contestants, places, settings } = context
	const load = { kind: 'closed', seconds: settings.closedSeconds }
	const specs = places.flatMap((place) =>
		contestants.flatMap((contestant) => {
			if (EXCLUDED.includes(contestant.base) || hasNothingToSync(contestant, place)) return []
			const isMain = place.place === 'disk' && !contestant.durable
			const counts = isMain ? settings.processes : settings.processesElsewhere
			if (contestant.isFloor)
				return counts.length > 0 ? [{ contestant, ...place, processes: 1, load }] : []
			return counts.map((processes) => ({ contestant, ...place, processes, load }))
		}),
	)
	// Cells with the same number of processes are compared, so they follow one another.
	specs.sort((one, other) => one.processes - other.processes)
	return { cells: await runCells(specs, context) }
}
