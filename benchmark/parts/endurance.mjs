// 64 processes for a minute without pauses, at the default timeout: does any process starve?

import { runCells } from '../cells.mjs'

export const summary = '64 processes for 60 s: timeouts, and the slowest process beside the fastest'

const PROCESSES = 64
const BASES = ['argus-sync', 'argus-async']

export const run = async (context) => {
	const { contestants, places, settings } = context
	const load = { kind: 'closed', seconds: settings.enduranceSeconds }
	const [place] = places
	const specs = contestants
		.filter(({ base, durable }) => BASES.includes(base) && !durable)
		.map((contestant) => ({ contestant, ...place, processes: PROCESSES, load }))
	const once = { ...context, settings: { ...settings, rounds: 1 } }
	return { seconds: load.seconds, cells: await runCells(specs, once) }
}
