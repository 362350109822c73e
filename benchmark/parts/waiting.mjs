// How much CPU time a process uses while it waits for 2 s for a lock that is held all the time.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { startHolder } from '../children.mjs'
import { contestantNamed } from '../contestants.mjs'
import { freshRegistry } from '../registry-file.mjs'
import { waitingText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const summary = 'CPU time of waiting 2 s for a held lock'

/** The contestant that waits, and the one whose process holds. LMDB waits without a limit. */
const PAIRS = [
	['argus-sync', 'argus-async'],
	['argus-async', 'argus-async'],
	['crate-update', 'argus-async'],
	// A process of an older argus: its lockfile, and no guard.
	['argus-sync', 'older-argus'],
	['argus-async', 'older-argus'],
	['crate-update', 'older-argus'],
	['older-argus', 'older-argus'],
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

export const run = async ({ contestants, places, settings, print }) => {
	const names = contestants.map(({ name }) => name)
	const pairs = PAIRS.filter(([waiter]) => names.includes(waiter))
	const [{ folder }] = places
	const samples = pairs.map(() => [])
	for (let round = 0; round < settings.waits; round++) {
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
	print(waitingText(results))
	return { results }
}
