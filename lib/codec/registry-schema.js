'use strict'

// What a registry is: its schema version, when an entry of it is stale, and the value of one with
// no watchers.

/** @import { RegistryV1 } from '../../index.js' */

const native = require('../addon/load.js')

const { registryVersion, ttlMs } = native.coreConstants()

/** A cast to the number that index.d.ts declares; a test compares the two. */
const REGISTRY_VERSION = /** @type {1} */ (registryVersion)

/** How long after its last heartbeat a watcher's entry counts as stale. A cast, as above. */
const DEFAULT_TTL_MS = /** @type {60000} */ (ttlMs)

/** @returns {RegistryV1} */
const createEmptyRegistry = (now = Date.now()) => ({
	version: REGISTRY_VERSION,
	updatedAt: now,
	watchers: {},
})

/**
 * Whether a value has properties of its own: a JSON object, not `null` and not an array.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Whether a value is an object that prints as what it is, of whatever realm. A Map, a Promise or an
 * instance of a class is an object too, and may print as `{}`.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
const isPlain = (value) => {
	if (!isObject(value)) return false
	const prototype = Object.getPrototypeOf(value)
	return prototype === null || Object.getPrototypeOf(prototype) === null
}

module.exports = { DEFAULT_TTL_MS, REGISTRY_VERSION, createEmptyRegistry, isObject, isPlain }
