// One process in a closed loop, alone with the lock.

import { runCells } from '../cells.mjs'
import { runChild } from '../children.mjs'

export const summary = 'one process, each contestant, durable and not'

export const run = async (context) => {
	const { contestants, places, settings } = context
	const load = { kind: 'closed', seconds: settings.oneProcessSeconds }
	const specs = places.flatMap((place) =>
		contestants.map((contestant) => ({ contestant, ...place, processes: 1, load })),
	)
	const [{ folder }] = places
	return { cells: await runCells(specs, context), idle: await runChild('idle', { folder }) }
}
