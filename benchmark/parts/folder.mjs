// A registry in a folder beside one in a file, SQLite and LMDB: heartbeats, claims, reading, and a thousand
// watchers that ten processes carry.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { openStore } from '../children/stores.mjs'
import { runChild, runExample, startChild } from '../children.mjs'
import { LatencyHistogram } from '../latency-histogram.mjs'
import { folderText, manyWatchersText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const summary = 'a registry in a folder: heartbeats, claims, reading; 1,000 watchers'

const PROCESSES = 10
const WATCHERS_PER_PROCESS = 100

/** Which contestants a person has chosen, by the store that each one uses. */
const STORES = { folder: 'argus-async', file: 'argus-async', sqlite: 'sqlite', lmdb: 'lmdb' }

const manyWatchers = async (store, folder, load) => {
	await (await openStore(store, folder)).fill(PROCESSES * WATCHERS_PER_PROCESS)
	const starting = Array.from({ length: PROCESSES }, (_, index) => {
		const watchers = WATCHERS_PER_PROCESS
		return startChild('many-watchers', { store, folder, index, watchers, load })
	})
	const started = await Promise.all(starting)
	const startAt = Date.now() + 100
	const results = await Promise.all(started.map((run) => run(startAt)))
	const latencies = new LatencyHistogram()
	for (const result of results) latencies.add(LatencyHistogram.of(result.latencies))
	const failed = results.flatMap(({ errors }) => Object.values(errors))
	const total = (values) => values.reduce((sum, value) => sum + value, 0)
	return {
		store,
		...latencies.summary,
		acknowledged: total(results.map(({ acknowledged }) => acknowledged)),
		failed: total(failed),
	}
}

/** The medians of several rounds, number by number. */
const mediansOf = (rounds) => {
	const [first] = rounds
	if (typeof first === 'number') return median(rounds)
	if (typeof first !== 'object' || first === null) return first
	const of = (key) => mediansOf(rounds.map((round) => round[key]))
	if (Array.isArray(first)) return first.map((_, index) => of(index))
	return Object.fromEntries(Object.keys(first).map((key) => [key, of(key)]))
}

/** What the Rust program of this part prints: a line for each cell. */
const rustCells = (folder, sizes) => {
	const lines = runExample('folder_store', [folder, ...sizes.map(String)])
		.trim()
		.split('\n')
	return Object.fromEntries(
		lines.map((line) => JSON.parse(line)).map(({ cell, p50Us }) => [cell, p50Us]),
	)
}

export const run = async ({ contestants, places, settings, print }) => {
	const bases = contestants.map(({ base }) => base)
	const stores = Object.keys(STORES).filter((store) => bases.includes(STORES[store]))
	const hasRust = bases.includes('crate-heartbeat')
	const [{ place, folder }] = places
	const own = (name) => mkdtempSync(join(folder, `${name}-`))
	const { folderSizes: sizes, sizeBudgetMs: budgetMs } = settings
	const rounds = []
	for (let round = 1; round <= settings.rounds; round += 1) {
		const rust = hasRust ? rustCells(own('rust'), sizes) : undefined
		const node = []
		for (const store of stores) {
			node.push(await runChild('folder', { store, folder: own(store), sizes, budgetMs }))
		}
		rounds.push({ round, rust, node })
		print(folderText(rounds.at(-1)))
	}
	const watchers = []
	const load = { seconds: settings.watcherSeconds, periodMs: settings.folderPeriodMs }
	for (const store of stores) {
		watchers.push(await manyWatchers(store, own(store), { ...load, processes: PROCESSES }))
	}
	if (watchers.length > 0) print(manyWatchersText(watchers))
	const ratios = (of) => median(rounds.map(of).filter((ratio) => Number.isFinite(ratio)))
	const heartbeatOf = ({ node }, name) => node.find(({ store }) => store === name)?.heartbeat
	return {
		place,
		rounds,
		medians: {
			rust: hasRust ? mediansOf(rounds.map(({ rust }) => rust)) : undefined,
			node: mediansOf(rounds.map(({ node }) => node)),
		},
		watchers,
		timesFloor: {
			node: ratios((each) => heartbeatOf(each, 'folder') / each.rust?.floor),
			rust: ratios(({ rust }) => rust?.heartbeat / rust?.floor),
		},
		timesLmdb: ratios((each) => heartbeatOf(each, 'folder') / heartbeatOf(each, 'lmdb')),
	}
}
