// The stores that are compared with a registry in a folder. Each has, for a folder of its own:
//   fill(count)         stores so many watchers
//   watcher(index)      enters one more, and makes a function that renews it
//   read()              reads all watchers, and returns how many there are
// Each may return a promise.

import { mkdirSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { beatOf, freshRegistry } from '../registry-file.mjs'

const options = { durable: false, timeoutMs: 60_000 }

const ofPackage = (name) => (dir) => {
	const argus = createRequire(import.meta.url)('../../index.js')
	const path = join(realpathSync(dir), name)
	return {
		fill: (count) => {
			const registry = freshRegistry(count)
			const kept = Object.entries(registry.watchers).slice(0, count)
			return argus.writeRegistry(path, { ...registry, watchers: Object.fromEntries(kept) }, options)
		},
		watcher: async (index) => {
			const now = Date.now()
			const record = { id: `own-${index}`, host: '127.0.0.1', port: 9222, pid: process.pid }
			const own = { ...record, startedAt: now, updatedAt: now }
			const { claim } = await argus.claimWatcher(path, own, options)
			const isFolder = name.endsWith('/')
			return isFolder
				? () => argus.heartbeatWatcher(path, claim)
				: () => argus.heartbeatWatcher(path, claim, options)
		},
		read: async () => Object.keys((await argus.readRegistry(path)).registry.watchers).length,
	}
}

/** An engine's rows are there from the beginning; a watcher renews its own. */
const ofEngine = (module) => async (dir) => {
	const { prepare, create, createReader } = await import(`../contestants/${module}.mjs`)
	const path = join(dir, 'registry.json')
	const reader = createReader()
	const update = create({ durable: false })
	return {
		fill: (count) => prepare(path, freshRegistry(count)),
		watcher: async (index) => {
			const beat = beatOf(index)
			update.connect?.(path)
			return () => update(path, beat)
		},
		read: reader.bind(undefined, path),
	}
}

const stores = {
	folder: ofPackage('registry/'),
	file: ofPackage('registry.json'),
	sqlite: ofEngine('sqlite'),
	lmdb: ofEngine('lmdb'),
}

/** A store with its files in this folder, which is made if it is missing. */
export const openStore = (name, dir) => {
	mkdirSync(dir, { recursive: true })
	return stores[name](dir)
}
