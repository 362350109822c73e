// Two processes that read without a pause, beside four that write without one.

import { runCells } from '../cells.mjs'

export const what = 'two readers beside four writers: reads per second, torn and failed reads'

const WRITERS = 4
const READERS = 2

/** Reading is the same for the others. */
const READ_OTHERWISE = ['argus-async', 'seed-lock', 'proper-lockfile', 'sqlite', 'lmdb']

export const run = async (context) => {
	const { contestants, places, pace } = context
	const load = { kind: 'closed', seconds: pace.readerSeconds }
	const [place] = places
	const specs = contestants
		.filter(({ base, durable }) => READ_OTHERWISE.includes(base) && !durable)
		.map((contestant) => ({ contestant, ...place, processes: WRITERS, readers: READERS, load }))
	return { cells: await runCells(specs, context) }
}
