'use strict'

// The calls that update a registry.

/** @import { HeldRegistryLock, RegistryV1, UpdateOptions } from '../../index.js' */

const native = require('../addon/load.js')
const { encode } = require('../codec/content.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { registryError } = require('../errors.js')
const { submitUpdate } = require('../locking/batch.js')
const { runLocked } = require('../locking/locked-section.js')
const { updateSync } = require('../locking/sync-update.js')
const { checkFunction, prepare } = require('../options.js')

/**
 * @param {string | URL} path
 * @param {(registry: RegistryV1) => RegistryV1 | Promise<RegistryV1>} updater
 * @param {UpdateOptions} [options]
 * @returns {Promise<RegistryV1>}
 */
const updateRegistry = async (path, updater, options) => {
	const call = prepare(path, registryCodec, options)
	return submitUpdate(call, { updater: checkFunction(path, 'updater', updater) })
}

/**
 * @param {string | URL} path
 * @param {RegistryV1} registry
 * @param {UpdateOptions} [options]
 * @returns {Promise<void>}
 */
const writeRegistry = async (path, registry, options) => {
	const call = prepare(path, registryCodec, options)
	// Encoded now, not when the lock is free: the caller may change the object meanwhile.
	await submitUpdate(call, { text: encode(call, registry) })
}

/**
 * @param {string | URL} path
 * @param {(registry: RegistryV1) => RegistryV1} updater
 * @param {UpdateOptions} [options]
 * @returns {RegistryV1}
 */
const updateRegistrySync = (path, updater, options) => {
	const call = prepare(path, registryCodec, options)
	return updateSync(call, checkFunction(path, 'updater', updater))
}

/**
 * @template T
 * @param {string | URL} path
 * @param {(lock: HeldRegistryLock) => T | Promise<T>} fn
 * @param {UpdateOptions} [options]
 * @returns {Promise<T>}
 */
const withRegistryLock = async (path, fn, options) => {
	const call = prepare(path, registryCodec, options)
	checkFunction(path, 'fn', fn)
	if (call.folder) throw registryError(native.noLockInFolder(call.path))
	call.exclusive = call.addon !== native
	return runLocked(call, fn)
}

module.exports = { updateRegistry, updateRegistrySync, withRegistryLock, writeRegistry }
