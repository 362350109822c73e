// What requiring the package costs, in time and memory, and how large the addon is.

import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ask } from '../children.mjs'
import { startUpText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const what = 'require time and memory, in fresh processes; size of the addon'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

const addonBytes = () => {
	const prefix = `argus-registry.${process.platform}-${process.arch}`
	const name = readdirSync(root).find((file) => file.startsWith(prefix) && file.endsWith('.node'))
	return name ? statSync(join(root, name)).size : Number.NaN
}

const modules = {
	argus: '../../index.js',
	'proper-lockfile': 'proper-lockfile',
	'better-sqlite3': 'better-sqlite3',
	lmdb: 'lmdb',
}

export const run = async ({ contestants, pace, say }) => {
	const engines = new Set(contestants.map(({ engine }) => engine))
	const names = Object.keys(modules).filter(
		(name) => engines.has(name) || !['better-sqlite3', 'lmdb'].includes(name),
	)
	const probes = new Map(names.map((name) => [name, []]))
	// The first is not counted: it reads the files from disk, the others from the page cache.
	for (let round = 0; round <= pace.startUps; round++) {
		for (const name of names) {
			const probe = await ask('start-up', { module: modules[name] })
			if (round > 0) probes.get(name).push(probe)
		}
	}
	const results = [...probes].map(([module, found]) => {
		const ms = found.map((probe) => probe.ms)
		const bytes = found.map((probe) => probe.bytes)
		return {
			module,
			processes: found.length,
			ms: median(ms),
			maxMs: Math.max(...ms),
			bytes: median(bytes),
		}
	})
	const found = { results, addonBytes: addonBytes() }
	say(startUpText(found))
	return found
}
