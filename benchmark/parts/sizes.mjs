// Registries of 1 to 10,000 entries: one beat of one entry, beside reading, writing and renaming
// those bytes, in turns of a few calls.

import { ask } from '../children.mjs'
import { sizeText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const what = 'registries of 1, 10, 100, 1,000 and 10,000 entries'

const BASES = ['argus-sync', 'argus-async', 'argus-heartbeat', 'seed-lock', 'sqlite', 'lmdb']

/** Each in a process of its own: the garbage of one would be collected in another's time. */
const measure = async (taking, folder, entries, pace) => {
	const found = []
	for (const contestant of taking) {
		const { sizeTurns: leastTurns, sizeBudgetMs: budgetMs } = pace
		found.push(await ask('sizes', { contestant, folder, entries, leastTurns, budgetMs }))
	}
	const copies = (durable) =>
		median(found.filter((_, at) => taking[at].durable === durable).map(({ copy }) => copy))
	const own = (what) => Object.fromEntries(taking.map(({ name }, at) => [name, what(found[at])]))
	return {
		bytes: found[0].bytes,
		samples: found[0].samples,
		medians: { copy: copies(false), 'copy-durable': copies(true), ...own(({ update }) => update) },
		timesCopy: own(({ update, copy }) => update / copy),
	}
}

export const run = async ({ contestants, places, pace, say }) => {
	const taking = contestants
		.filter(({ base }) => BASES.includes(base))
		.map(({ name, script, durable }) => ({ name, script, durable }))
	const sizes = []
	for (const { place, folder } of taking.length > 0 ? places : []) {
		for (const entries of pace.sizes) {
			sizes.push({ place, entries, ...(await measure(taking, folder, entries, pace)) })
			say(sizeText(sizes.at(-1)))
		}
	}
	return { sizes }
}
