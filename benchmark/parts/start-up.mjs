// The time and memory that requiring the package takes, and the size of the addon.

import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChild } from '../children.mjs'
import { startUpText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const summary = 'require time and memory, in fresh processes; size of the addon'

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

export const run = async ({ contestants, settings, print }) => {
	const engines = new Set(contestants.map(({ engine }) => engine))
	const names = Object.keys(modules).filter(
		(name) => engines.has(name) || !['better-sqlite3', 'lmdb'].includes(name),
	)
	const probes = new Map(names.map((name) => [name, []]))
	// The first round is not counted: it reads the files from disk, and the others from the page cache.
	for (let round = 0; round <= settings.startUps; round++) {
		for (const name of names) {
			const probe = await runChild('start-up', { module: modules[name] })
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
	print(startUpText(found))
	return found
}
