// 64 processes for a minute without pauses, at the default timeout: does anybody starve?

import { runCells } from '../cells.mjs'

export const what = '64 processes for 60 s: timeouts, and the slowest beside the fastest'

const PROCESSES = 64
const BASES = ['argus-sync', 'argus-async']

export const run = async (context) => {
	const { contestants, places, pace } = context
	const load = { kind: 'closed', seconds: pace.enduranceSeconds }
	const [place] = places
	const specs = contestants
		.filter(({ base, durable }) => BASES.includes(base) && !durable)
		.map((contestant) => ({ contestant, ...place, processes: PROCESSES, load }))
	const once = { ...context, pace: { ...pace, rounds: 1 } }
	return { seconds: load.seconds, cells: await runCells(specs, once) }
}
