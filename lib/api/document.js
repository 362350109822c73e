'use strict'

// Documents: any value in a file that several processes share. index.d.ts says what each call does.

/**
 * @import {
 *   DocumentCallOptions, DocumentOptions, DocumentWatchOptions, HeldDocumentLock, LoadedDocument,
 *   RegistryWatch,
 * } from '../../index.js'
 */
/** @import { LoadedText } from '../addon/addon.d.ts' */
/** @import { LockCall } from '../options.js' */

const { resolve } = require('node:path')
const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { decode } = require('../codec/content.js')
const { documentCodec } = require('../codec/document-codec.js')
const { registryError, unwrap } = require('../errors.js')
const { unlessAborted, updateAborted } = require('../locking/abort-signal.js')
const { submitUpdate } = require('../locking/batch.js')
const { runLocked } = require('../locking/locked-section.js')
const { updateSync } = require('../locking/sync-update.js')
const {
	checkCall,
	checkFunction,
	checkOptions,
	checkPath,
	flag,
	invalidArgument,
	acquireRequest,
	optionalFunction,
	prepareWatch,
} = require('../options.js')
const { watchFile } = require('./watch.js')

const constants = native.coreConstants()

/** As in veil: a call that only reads or replaces finds the lock free or fails. */
const ONE_TRY_MS = 0

/**
 * @template {string} V
 * @param {string} path
 * @param {string} name
 * @param {V | undefined} value
 * @param {readonly [V, ...V[]]} choices The first one is the default.
 * @returns {V}
 */
const choice = (path, name, value, choices) => {
	if (value === undefined) return choices[0]
	if (choices.includes(value)) return value
	throw invalidArgument(path, `${name} must be ${choices.map((each) => `'${each}'`).join(' or ')}`)
}

/**
 * @param {string} path
 * @param {string} name
 * @param {number | undefined} value
 * @param {number} limit
 */
const optionalInteger = (path, name, value, limit) => {
	if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= limit)) {
		throw invalidArgument(path, `${name} must be an integer from 0 to ${limit}`)
	}
	return value
}

/** @template T */
class Document {
	/** @type {{ registryLock: boolean, lockFile: string | undefined }} */
	#lock
	#codec
	#newFileMode
	#mustExist
	#writing

	/**
	 * @param {string} path
	 * @param {DocumentOptions<T>} [options]
	 */
	constructor(path, options = {}) {
		checkPath(path)
		checkOptions(path, options)
		// Made absolute now: a document is one file, whatever the current folder becomes.
		this.path = resolve(path)
		const { lockFile } = options
		const registryLock =
			choice(path, 'lock', options.lock, ['lock-file', 'registry']) === 'registry'
		if (lockFile !== undefined && registryLock) {
			throw invalidArgument(path, "lockFile has no meaning with lock: 'registry'")
		}
		this.#lock = {
			registryLock,
			lockFile: lockFile === undefined ? undefined : resolve(checkPath(lockFile, 'lockFile')),
		}
		optionalFunction(path, 'decode', options.decode)
		optionalFunction(path, 'encode', options.encode)
		optionalFunction(path, 'empty', options.empty)
		optionalInteger(path, 'version', options.version, 2 ** 32 - 1)
		choice(path, 'onCorrupt', options.onCorrupt, ['fail', 'keep'])
		this.#codec = documentCodec(options)
		this.#mustExist = options.empty === undefined
		this.#newFileMode = optionalInteger(path, 'newFileMode', options.newFileMode, 0o777)
		const onWarning = optionalFunction(path, 'onWarning', options.onWarning)
		const durable = flag(path, 'durable', options.durable, true)
		this.#writing = { durable, ...(onWarning && { onWarning }) }
	}

	lockPath() {
		return this.#resolve().lockPath
	}

	/**
	 * @param {DocumentCallOptions} [options]
	 * @returns {Promise<LoadedDocument<T>>}
	 */
	async load(options) {
		const call = this.#call(options, ONE_TRY_MS)
		const { path, signal } = call
		if (signal?.aborted) throw updateAborted(path, signal)
		const loading = Promise.resolve(resultOf(native.loadDocument(acquireRequest(call))))
		return this.#loaded(call, unwrap(await unlessAborted(call, loading)))
	}

	/**
	 * @param {DocumentCallOptions} [options]
	 * @returns {LoadedDocument<T>}
	 */
	loadSync(options) {
		const call = this.#call(options, ONE_TRY_MS)
		return this.#loaded(call, unwrap(native.loadDocumentSync(acquireRequest(call))))
	}

	/**
	 * @param {T} value
	 * @param {DocumentCallOptions} [options]
	 * @returns {Promise<void>}
	 */
	async save(value, options) {
		const call = this.#call(options, ONE_TRY_MS)
		// Encoded now, not when the lock is free: the caller may change the value meanwhile.
		await submitUpdate(call, { text: call.codec.encode(call.path, value) })
	}

	/**
	 * @param {(value: T) => T | Promise<T>} updater
	 * @param {DocumentCallOptions} [options]
	 * @returns {Promise<T>}
	 */
	async update(updater, options) {
		checkFunction(this.path, 'updater', updater)
		return submitUpdate(this.#updateCall(options), { updater })
	}

	/**
	 * @param {(value: T) => T} updater
	 * @param {DocumentCallOptions} [options]
	 * @returns {T}
	 */
	updateSync(updater, options) {
		checkFunction(this.path, 'updater', updater)
		return updateSync(this.#updateCall(options), updater)
	}

	/**
	 * @template R
	 * @param {(lock: HeldDocumentLock<T>) => R | Promise<R>} fn
	 * @param {DocumentCallOptions} [options]
	 * @returns {Promise<R>}
	 */
	async withLock(fn, options) {
		checkFunction(this.path, 'fn', fn)
		return runLocked(this.#call(options, constants.timeoutMs), fn)
	}

	/**
	 * @param {DocumentWatchOptions} [options]
	 * @returns {RegistryWatch<T>}
	 */
	watch(options) {
		const { onWarning } = this.#writing
		return watchFile(
			prepareWatch(this.path, this.#codec, { ...(onWarning && { onWarning }), ...options }),
		)
	}

	#resolve() {
		const { lockFile, registryLock } = this.#lock
		return unwrap(native.resolveDocument(this.path, lockFile, registryLock))
	}

	/** @param {DocumentCallOptions | undefined} options */
	#updateCall(options) {
		const call = this.#call(options, constants.timeoutMs)
		return this.#mustExist ? { ...call, mustExist: true } : call
	}

	/**
	 * @param {DocumentCallOptions | undefined} options
	 * @param {number} defaultTimeoutMs
	 * @returns {LockCall<T>}
	 */
	#call(options = {}, defaultTimeoutMs) {
		checkOptions(this.path, options)
		const { timeoutMs = defaultTimeoutMs, staleMs, signal } = options
		const call = checkCall(this.path, this.#codec, {
			...this.#writing,
			timeoutMs,
			...(staleMs !== undefined && { staleMs }),
			...(signal !== undefined && { signal }),
		})
		const { path, lockPath } = this.#resolve()
		call.path = path
		call.lockName = this.#lock.registryLock ? path : lockPath
		if (!this.#lock.registryLock) call.lockFile = lockPath
		if (this.#newFileMode !== undefined) call.newFileMode = this.#newFileMode
		return call
	}

	/**
	 * @param {LockCall<T>} call
	 * @param {LoadedText} loaded
	 * @returns {LoadedDocument<T>}
	 */
	#loaded(call, { text, locked }) {
		const { value, warning } = decode(call, { exists: true, text })
		if (!warning) return { value, locked }
		const { refusal, reason = warning.message } = warning
		throw refusal ?? registryError(native.parseFailure(call.path, reason))
	}
}

module.exports = { Document }
