'use strict'

// Registries as values, with no file: argus's pure helpers and constants. An id may be any string,
// `__proto__` too, and an entry may be anything.

const REGISTRY_VERSION = 1

const DEFAULT_TTL_MS = 60_000

const createEmptyRegistry = (now = Date.now()) => ({
	version: REGISTRY_VERSION,
	updatedAt: now,
	watchers: {},
})

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

const listWatchers = (registry) => Object.values(registry.watchers).filter(isObject)

const setWatcherEntry = (registry, watcher, now = Date.now()) => ({
	...registry,
	updatedAt: now,
	watchers: { ...registry.watchers, [watcher.id]: watcher },
})

const removeWatcherEntry = (registry, id, now = Date.now()) => {
	if (!Object.hasOwn(registry.watchers, id)) return registry
	const { [id]: _removed, ...watchers } = registry.watchers
	return { ...registry, updatedAt: now, watchers }
}

module.exports = {
	DEFAULT_TTL_MS,
	REGISTRY_VERSION,
	createEmptyRegistry,
	listWatchers,
	removeWatcherEntry,
	setWatcherEntry,
}
