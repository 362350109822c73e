// Ten watchers that beat at fixed times, whatever becomes of the beat before (an open loop): what
// argus does every 15 s, a hundred times as often.

import { runCells } from '../cells.mjs'

export const what = 'ten watchers beating in an open loop; latency from the intended time'

const WATCHERS = 10

/** What a watcher would call, and not what does nearly the same. */
const LEFT_OUT = ['argus-announce', 'crate-update']

export const run = async (context) => {
	const { contestants, places, pace } = context
	const load = { kind: 'open', seconds: pace.watcherSeconds, periodMs: pace.watcherPeriodMs }
	const [place] = places
	const specs = contestants
		.filter(({ base, isFloor }) => !isFloor && !LEFT_OUT.includes(base))
		.map((contestant) => ({ contestant, ...place, processes: WATCHERS, load }))
	return { cells: await runCells(specs, context) }
}
