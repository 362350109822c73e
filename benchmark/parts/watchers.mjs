// Ten watchers that send heartbeats at fixed times, whether or not the heartbeat before is done (an
// open loop). argus does this every 15 s; here it is a hundred times as often.

import { runCells } from '../cells.mjs'

export const summary = 'heartbeats of ten watchers in an open loop; latency from the intended time'

const WATCHERS = 10

/** These do nearly what another contestant does, which is the one that a watcher would call. */
const EXCLUDED = ['argus-announce', 'crate-announce', 'crate-update']

export const run = async (context) => {
	const { contestants, places, settings } = context
	const load = {
		kind: 'open',
		seconds: settings.watcherSeconds,
		periodMs: settings.watcherPeriodMs,
	}
	const [place] = places
	const specs = contestants
		.filter(({ base, isFloor }) => !isFloor && !EXCLUDED.includes(base))
		.map((contestant) => ({ contestant, ...place, processes: WATCHERS, load }))
	return { cells: await runCells(specs, context) }
}
