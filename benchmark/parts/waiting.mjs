// How much CPU a process burns while it waits, in vain, for 2 s: the lock is held all the time.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { startHolder } from '../children.mjs'
import { contestantNamed } from '../contestants.mjs'
import { freshRegistry } from '../registry-file.mjs'
import { waitingText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const what = 'CPU burnt while waiting 2 s for a held lock'

/** Who waits, and whose process holds. LMDB is not here: its lock is waited for without an end. */
const PAIRS = [
	['argus-sync', 'argus-async'],
	['argus-async', 'argus-async'],
	['crate-update', 'argus-async'],
	// A process of an older argus: its lockfile, and no guard.
	['argus-sync', 'seed-lock'],
	['argus-async', 'seed-lock'],
	['crate-update', 'seed-lock'],
	['seed-lock', 'seed-lock'],
	['proper-lockfile', 'proper-lockfile'],
	['sqlite', 'sqlite'],
]

const wait = async (waiter, holding, folder) => {
	const path = join(mkdtempSync(join(folder, 'waiting-')), 'registry.json')
	const { prepare } = await waiter.load()
	await prepare(path, freshRegistry())
	const load = { kind: 'once' }
	const run = await waiter.start({ path, index: 0, durable: false, load })
	const holder = await startHolder(holding.script, path)
	const { cpuMs, latencies, errors } = await run(0)
	await holder.kill()
	return { cpuMs, ms: latencies[0], code: Object.keys(errors).join() || 'none' }
}

export const run = async ({ contestants, places, pace, say }) => {
	const names = contestants.map(({ name }) => name)
	const pairs = PAIRS.filter(([waiter]) => names.includes(waiter))
	const [{ folder }] = places
	const samples = pairs.map(() => [])
	for (let round = 0; round < pace.waits; round++) {
		for (const [at, [waiter, holder]] of pairs.entries()) {
			samples[at].push(await wait(contestantNamed(waiter), contestantNamed(holder), folder))
		}
	}
	const results = pairs.map(([waiter, holder], at) => ({
		contestant: waiter,
		holder,
		cpuMs: median(samples[at].map(({ cpuMs }) => cpuMs)),
		ms: median(samples[at].map(({ ms }) => ms)),
		code: samples[at][0].code,
	}))
	say(waitingText(results))
	return { results }
}
