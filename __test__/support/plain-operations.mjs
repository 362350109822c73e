// The entry operations as argus has had them: each update is locked, so that no file is torn; but
// what is decided without the lock, or by id alone, races. For tests that show the difference.

import { createRequire } from 'node:module'

// Required, as Deno takes a file for CommonJS only if it finds it from its own folder.
const { readRegistry, updateRegistry } = createRequire(import.meta.url)('../../index.js')

const TTL_MS = 60_000

/** Looks for a free id; another process may find that id before it is entered. */
export const resolveUniqueWatcherId = async (path, id) => {
	const { watchers } = (await readRegistry(path)).registry
	if (!(id in watchers)) return id
	let suffix = 2
	while (`${id}-${suffix}` in watchers) suffix += 1
	return `${id}-${suffix}`
}

export const announceWatcher = (path, watcher) =>
	updateRegistry(path, (registry) => ({
		...registry,
		updatedAt: Date.now(),
		watchers: { ...registry.watchers, [watcher.id]: watcher },
	}))

/** Writes the whole record, whatever is there by then. */
export const heartbeatWatcher = (path, watcher) =>
	announceWatcher(path, { ...watcher, updatedAt: Date.now() })

/** By id: whichever watcher has the entry by then. */
export const removeWatcher = (path, id) =>
	updateRegistry(path, (registry) => {
		const { [id]: _removed, ...watchers } = registry.watchers
		return { ...registry, updatedAt: Date.now(), watchers }
	})

/** Looks without the lock, and removes under the lock what it saw then. */
export const pruneStaleWatchers = async (path, { meanwhile = () => {} } = {}) => {
	const { watchers } = (await readRegistry(path)).registry
	const stale = Object.keys(watchers).filter((id) => Date.now() - watchers[id].updatedAt > TTL_MS)
	await meanwhile()
	for (const id of stale) await removeWatcher(path, id)
	return stale
}

/** Under the lock from the start, so that it can't race; but then it needs the lock. */
export const pruneUnderLock = (path) =>
	updateRegistry(path, (registry) => {
		const fresh = Object.entries(registry.watchers).filter(
			([, { updatedAt }]) => Date.now() - updatedAt <= TTL_MS,
		)
		if (fresh.length === Object.keys(registry.watchers).length) return registry
		return { ...registry, watchers: Object.fromEntries(fresh) }
	})

export const startRegistryHeartbeat = (path, getWatcher, intervalMs) => {
	const timer = setInterval(() => {
		void heartbeatWatcher(path, getWatcher())
	}, intervalMs)
	return { stop: () => clearInterval(timer) }
}
