'use strict'

// Registries as values, with no file: argus's pure helpers. An id may be any string, also
// `__proto__`, and an entry may be any value.

/** @import { RegistryV1, WatcherRecord } from '../../index.js' */

const { isObject } = require('../codec/registry-schema.js')

/** @param {RegistryV1} registry */
const listWatchers = (registry) =>
	Object.values(registry.watchers).filter((/** @type {unknown} */ entry) => isObject(entry))

/**
 * @param {RegistryV1} registry
 * @param {WatcherRecord} watcher
 */
const setWatcherEntry = (registry, watcher, now = Date.now()) => ({
	...registry,
	updatedAt: now,
	watchers: { ...registry.watchers, [watcher.id]: watcher },
})

/**
 * @param {RegistryV1} registry
 * @param {string} id
 */
const removeWatcherEntry = (registry, id, now = Date.now()) => {
	if (!Object.hasOwn(registry.watchers, id)) return registry
	const { [id]: _removed, ...watchers } = registry.watchers
	return { ...registry, updatedAt: now, watchers }
}

module.exports = { listWatchers, removeWatcherEntry, setWatcherEntry }
