// How long the next update takes after the holder of the lock was killed.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { startHolder, startNode } from '../children.mjs'
import { freshRegistry } from '../registry-file.mjs'
import { recoveryText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const what = 'the next update after SIGKILL of the holder'

/** These fail until a lock is 10 s old: to see that once takes long enough. */
const SLOW = ['seed-lock', 'proper-lockfile']
const BASES = ['argus-sync', 'argus-async', 'argus-heartbeat', 'sqlite', 'lmdb', ...SLOW]

const recover = async ({ base, script, durable, load }, folder) => {
	const path = join(mkdtempSync(join(folder, `${base}-`)), 'registry.json')
	const { prepare, countBeats } = await load()
	await prepare(path, freshRegistry())
	const run = await startNode('worker', {
		...{ script, path, durable, index: 0, role: 'write' },
		load: { kind: 'once' },
	})
	const holder = await startHolder(script, path)
	await holder.kill()
	const { latencies, errors } = await run(0)
	const acknowledged = Object.keys(errors).length === 0 ? 1 : 0
	return { ms: latencies[0], acknowledged, lost: acknowledged - (await countBeats(path)) }
}

export const run = async ({ contestants, places, pace, say }) => {
	const taking = contestants.filter(({ base, durable }) => BASES.includes(base) && !durable)
	const [{ folder }] = places
	const samples = new Map(taking.map(({ name }) => [name, []]))
	for (let round = 0; round < pace.recoveries; round++) {
		for (const contestant of taking) {
			if (round > 0 && SLOW.includes(contestant.base)) continue
			samples.get(contestant.name).push(await recover(contestant, folder))
		}
	}
	const results = [...samples].map(([contestant, found]) => {
		const times = found.map(({ ms }) => ms)
		const failed = found.filter(({ acknowledged }) => acknowledged === 0).length
		const lost = found.reduce((total, each) => total + each.lost, 0)
		const [middle, max] = [median(times), Math.max(...times)]
		return { contestant, rounds: found.length, median: middle, max, failed, lost, times }
	})
	say(recoveryText(results))
	return { results }
}
