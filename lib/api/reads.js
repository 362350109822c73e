'use strict'

// The calls that read a registry without a lock, inspect its lock, and find its default path.

/** @import { LockStatus, RegistryReadResult, RegistryV1 } from '../../index.js' */
/** @import { AddonResult, RegistryText } from '../addon/addon.d.ts' */
/** @import { ReadCall } from '../options.js' */

const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { decode } = require('../codec/content.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { createEmptyRegistry } = require('../codec/registry-schema.js')
const { holderOf, unwrap } = require('../errors.js')
const { prepare, prepareRead } = require('../options.js')

/**
 * @param {ReadCall<RegistryV1>} call
 * @param {AddonResult<RegistryText>} content
 * @returns {RegistryReadResult}
 */
const readResult = (call, content) => {
	const { damaged, ...file } = unwrap(content)
	const decoded = decode(call, file)
	if (!decoded.warning) return { registry: decoded.value, warnings: damaged }
	const { code, path, message } = decoded.warning
	return { registry: createEmptyRegistry(), warnings: [{ code, path, message }] }
}

/** @param {string | URL} path */
const readRegistry = async (path) => {
	const call = prepareRead(path, registryCodec)
	return readResult(call, await resultOf(call.addon.readRegistry(call.path)))
}

/** @param {string | URL} path */
const readRegistrySync = (path) => {
	const call = prepareRead(path, registryCodec)
	return readResult(call, call.addon.readRegistrySync(call.path))
}

/**
 * @param {string | URL} path
 * @param {{ staleMs?: number }} [options]
 * @returns {Promise<LockStatus>}
 */
const inspectLock = async (path, options) => {
	const { lockName, staleMs, addon } = prepare(path, registryCodec, options, ['staleMs'])
	const { holder, ...status } = unwrap(await resultOf(addon.inspect(lockName, staleMs)))
	return { ...status, ...(holder && { holder: holderOf(holder) }) }
}

const registryPath = () => unwrap(native.defaultPath({ ...process.env }))

module.exports = { inspectLock, readRegistry, readRegistrySync, registryPath }
