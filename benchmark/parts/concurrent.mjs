// A thousand concurrent calls in one process.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from '../children.mjs'
import { freshRegistry } from '../registry-file.mjs'
import { concurrentText } from '../report.mjs'
import { median, spread } from '../statistics.mjs'

export const summary = '1,000 concurrent calls in one process'

/** The contestants whose calls don't block; and SQLite, whose calls run one after the other. */
const BASES = ['argus-async', 'older-argus', 'proper-lockfile', 'sqlite', 'lmdb']

const burst = async ({ base, durable, script, load }, folder, calls) => {
	const path = join(mkdtempSync(join(folder, `${base}-`)), 'registry.json')
	const { prepare, countBeats } = await load()
	await prepare(path, freshRegistry())
	const found = await runChild('concurrent', { script, path, durable, calls })
	return { ...found, lost: found.acknowledged - (await countBeats(path)) }
}

export const run = async ({ contestants, places, settings, print }) => {
	const participants = contestants.filter(({ base }) => BASES.includes(base))
	const calls = settings.concurrentCalls
	const [{ place, folder }] = places
	const rounds = []
	for (let round = 1; round <= settings.rounds; round++) {
		for (const contestant of participants) {
			const found = await burst(contestant, folder, calls)
			rounds.push({ round, contestant: contestant.name, ...found })
			print(concurrentText(rounds.at(-1), settings.rounds))
		}
	}
	const results = participants.map(({ name }) => {
		const own = rounds.filter(({ contestant }) => contestant === name)
		const speeds = own.map(({ opsPerSecond }) => opsPerSecond)
		return {
			contestant: name,
			place,
			calls,
			opsPerSecond: median(speeds),
			spread: spread(speeds),
			failed: median(own.map(({ failed }) => failed)),
			lost: own.reduce((lost, each) => lost + each.lost, 0),
		}
	})
	return { results, rounds }
}
