'use strict'

// Registries as values, with no file: argus's pure helpers. An id may be any string, `__proto__`
// too, and an entry may be anything.

const { isObject } = require('../codec/registry-schema.js')

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

module.exports = { listWatchers, removeWatcherEntry, setWatcherEntry }
