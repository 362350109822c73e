// Registries of 1 to 10,000 entries: one beat of one entry, beside reading, writing and renaming
// those bytes. In one process, and in turns call by call.

import { ask } from '../children.mjs'
import { sizeText } from '../report.mjs'

export const what = 'registries of 1, 10, 100, 1,000 and 10,000 entries'

const BASES = ['argus-sync', 'argus-async', 'argus-heartbeat', 'seed-lock', 'sqlite', 'lmdb']

export const run = async ({ contestants, places, pace, say }) => {
	const taking = contestants
		.filter(({ base }) => BASES.includes(base))
		.map(({ name, script, durable }) => ({ name, script, durable }))
	const sizes = []
	for (const { place, folder } of places) {
		for (const entries of pace.sizes) {
			const { sizeTurns: leastTurns, sizeBudgetMs: budgetMs } = pace
			const found = await ask('sizes', {
				contestants: taking,
				folder,
				entries,
				leastTurns,
				budgetMs,
			})
			sizes.push({ place, entries, ...found })
			say(sizeText(sizes.at(-1)))
		}
	}
	return { sizes }
}
