// Two processes that read without pauses, beside four that write without pauses.

import { runCells } from '../cells.mjs'

export const summary = 'two readers beside four writers: reads per second, torn and failed reads'

const WRITERS = 4
const READERS = 2

/** One contestant for each way of reading. Those left out read as another one does. */
const BASES = ['argus-async', 'older-argus', 'proper-lockfile', 'sqlite', 'lmdb']

export const run = async (context) => {
	const { contestants, places, settings } = context
	const load = { kind: 'closed', seconds: settings.readerSeconds }
	const [place] = places
	const specs = contestants
		.filter(({ base, durable }) => BASES.includes(base) && !durable)
		.map((contestant) => ({ contestant, ...place, processes: WRITERS, readers: READERS, load }))
	return { cells: await runCells(specs, context) }
}
