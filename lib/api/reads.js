'use strict'

// The calls that look: at a file, without a lock, at its lock, and for its path.

/** @import { DocumentCodec, LockStatus, RegistryReadResult } from '../../index.js' */
/** @import { AddonResult, FileText } from '../addon/addon.d.ts' */
/** @import { ReadCall } from '../options.js' */

const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { decode } = require('../codec/content.js')
const { holderOf, unwrap } = require('../errors.js')
const { prepare, prepareRead } = require('../options.js')

/**
 * @template T
 * @param {ReadCall<T>} call
 * @param {AddonResult<FileText>} content
 * @returns {RegistryReadResult<T>}
 */
const readResult = (call, content) => {
	const decoded = decode(call, unwrap(content))
	if (!decoded.warning) return { registry: decoded.value, warnings: [] }
	const { code, path, message } = decoded.warning
	return { registry: call.codec.empty(), warnings: [{ code, path, message }] }
}

/**
 * @template T
 * @param {string} path
 * @param {{ codec?: DocumentCodec<T> | undefined }} [options]
 */
const readRegistry = async (path, options) => {
	const call = prepareRead(path, options)
	return readResult(call, await resultOf(native.read(path)))
}

/**
 * @template T
 * @param {string} path
 * @param {{ codec?: DocumentCodec<T> | undefined }} [options]
 */
const readRegistrySync = (path, options) =>
	readResult(prepareRead(path, options), native.readSync(path))

/**
 * @param {string} path
 * @param {{ staleMs?: number }} [options]
 * @returns {Promise<LockStatus>}
 */
const inspectLock = async (path, options) => {
	const { path: resolved, staleMs } = prepare(path, options)
	const { holder, ...status } = unwrap(await resultOf(native.inspect(resolved, staleMs)))
	return { ...status, ...(holder && { holder: holderOf(holder) }) }
}

const registryPath = () => unwrap(native.defaultPath({ ...process.env }))

module.exports = { inspectLock, readRegistry, readRegistrySync, registryPath }
