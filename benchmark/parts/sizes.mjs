// Registries of 1 to 10,000 entries: one heartbeat of one entry, in turns with reading, writing and
// renaming a file of that size.

import { runChild } from '../children.mjs'
import { sizeText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const summary = 'registries of 1, 10, 100, 1,000 and 10,000 entries'

const BASES = ['argus-sync', 'argus-async', 'argus-heartbeat', 'older-argus', 'sqlite', 'lmdb']

/**
 * Each contestant in a process of its own: in one process, the garbage of one contestant would be
 * collected while another one is measured.
 */
const measure = async (participants, folder, entries, settings) => {
	const found = []
	for (const contestant of participants) {
		const { sizeTurns: minTurns, sizeBudgetMs: budgetMs } = settings
		found.push(await runChild('sizes', { contestant, folder, entries, minTurns, budgetMs }))
	}
	const copies = (durable) =>
		median(found.filter((_, at) => participants[at].durable === durable).map(({ copy }) => copy))
	const byName = (value) =>
		Object.fromEntries(participants.map(({ name }, at) => [name, value(found[at])]))
	return {
		bytes: found[0].bytes,
		samples: found[0].samples,
		medians: {
			copy: copies(false),
			'copy-durable': copies(true),
			...byName(({ update }) => update),
		},
		timesCopy: byName(({ update, copy }) => update / copy),
	}
}

export const run = async ({ contestants, places, settings, print }) => {
	const participants = contestants
		.filter(({ base }) => BASES.includes(base))
		.map(({ name, script, durable }) => ({ name, script, durable }))
	const sizes = []
	for (const { place, folder } of participants.length > 0 ? places : []) {
		for (const entries of settings.sizes) {
			sizes.push({ place, entries, ...(await measure(participants, folder, entries, settings)) })
			print(sizeText(sizes.at(-1)))
		}
	}
	return { sizes }
}
