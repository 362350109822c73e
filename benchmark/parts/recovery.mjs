// How long the next update takes after the holder of the lock was killed.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { startHolder, startWorker } from '../children.mjs'
import { freshRegistry } from '../registry-file.mjs'
import { recoveryText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const summary = 'the next update after SIGKILL of the holder'

/** Their updates fail until the lock is 10 s old. One kill is enough to show that. */
const KILLED_ONCE = ['older-argus', 'proper-lockfile']
const BASES = ['argus-sync', 'argus-async', 'argus-heartbeat', 'sqlite', 'lmdb', ...KILLED_ONCE]

const recover = async ({ base, script, durable, load }, folder) => {
	const path = join(mkdtempSync(join(folder, `${base}-`)), 'registry.json')
	const { prepare, countBeats } = await load()
	await prepare(path, freshRegistry())
	const run = await startWorker({
		...{ script, path, durable, index: 0, role: 'write' },
		load: { kind: 'once' },
	})
	const holder = await startHolder(script, path)
	await holder.kill()
	const { latencies, errors } = await run(0)
	const acknowledged = Object.keys(errors).length === 0 ? 1 : 0
	return { ms: latencies[0], acknowledged, lost: acknowledged - (await countBeats(path)) }
}

export const run = async ({ contestants, places, settings, print }) => {
	const participants = contestants.filter(({ base, durable }) => BASES.includes(base) && !durable)
	const [{ folder }] = places
	const samples = new Map(participants.map(({ name }) => [name, []]))
	for (let round = 0; round < settings.recoveries; round++) {
		for (const contestant of participants) {
			if (round > 0 && KILLED_ONCE.includes(contestant.base)) continue
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
	print(recoveryText(results))
	return { results }
}
