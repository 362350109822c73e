'use strict'

// What a registry is: its schema version, when an entry of it is stale, and the value of one with no
// watchers.

const REGISTRY_VERSION = 1

/** How long after its last heartbeat a watcher's entry counts as stale. */
const DEFAULT_TTL_MS = 60_000

const createEmptyRegistry = (now = Date.now()) => ({
	version: REGISTRY_VERSION,
	updatedAt: now,
	watchers: {},
})

/** Whether a value has properties of its own: a JSON object, not `null` and not an array. */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

module.exports = { DEFAULT_TTL_MS, REGISTRY_VERSION, createEmptyRegistry, isObject }
