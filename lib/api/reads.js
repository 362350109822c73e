'use strict'

// The calls that read a registry without a lock, inspect its lock, and find its default path.

/** @import { LockStatus, RegistryReadResult, RegistryV1 } from '../../index.js' */
/** @import { RegistryText } from '../addon/addon.d.ts' */
/** @import { Content } from '../codec/content.js' */
/** @import { ReadCall } from '../options.js' */

const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { decode } = require('../codec/content.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { createEmptyRegistry } = require('../codec/registry-schema.js')
const { holderOf, isFailure, unwrap } = require('../errors.js')
const { unwrittenContent } = require('../locking/scopes.js')
const { prepare, prepareRead } = require('../options.js')

/**
 * @param {ReadCall<RegistryV1>} call
 * @param {Content & Pick<RegistryText, 'damaged'>} content
 * @returns {RegistryReadResult}
 */
const readResult = (call, { damaged, ...file }) => {
	const decoded = decode(call, file)
	if (!decoded.warning) return { registry: decoded.value, warnings: damaged }
	const { code, path, message } = decoded.warning
	return { registry: createEmptyRegistry(), warnings: [{ code, path, message }] }
}

/**
 * What a read inside of an updater gets that is not in the file yet.
 *
 * @param {ReadCall<RegistryV1>} call
 */
const unwrittenOf = ({ path, addon }) => {
	const content = unwrittenContent(() => {
		const name = addon.resolve(path)
		// The read itself says what is wrong with the path.
		return isFailure(name) ? undefined : name
	})
	return content && { ...content, damaged: [] }
}

/** @param {string | URL} path */
const readRegistry = async (path) => {
	const call = prepareRead(path, registryCodec)
	return readResult(
		call,
		unwrittenOf(call) ?? unwrap(await resultOf(call.addon.readRegistry(call.path))),
	)
}

/** @param {string | URL} path */
const readRegistrySync = (path) => {
	const call = prepareRead(path, registryCodec)
	return readResult(call, unwrittenOf(call) ?? unwrap(call.addon.readRegistrySync(call.path)))
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
