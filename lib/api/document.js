'use strict'

// Documents: any value in a file that several processes share. index.d.ts says what each call does.

/**
 * @import {
 *   DocumentCallOptions, DocumentOptions, DocumentWatchOptions, HeldDocumentLock, LoadedDocument,
 *   RegistryWatch,
 * } from '../../index.js'
 */
/** @import { Content } from '../codec/content.js' */
/** @import { LockCall } from '../options.js' */

const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { decode, encode, refusalOf } = require('../codec/content.js')
const { documentCodec } = require('../codec/document-codec.js')
const { shown, unwrap } = require('../errors.js')
const { unlessAborted, updateAborted } = require('../locking/abort-signal.js')
const { submitUpdate } = require('../locking/batch.js')
const { waitSync } = require('../locking/held-lock.js')
const { runLocked } = require('../locking/locked-section.js')
const { refuseSync } = require('../locking/queue.js')
const { isInside, unwrittenContent } = require('../locking/scopes.js')
const { updateSync } = require('../locking/sync-update.js')
const { giveUpIfLeaving } = require('../locking/thread-state.js')
const {
	WATCH_OPTIONS,
	checkCall,
	checkFunction,
	checkOptions,
	checkPath,
	choice,
	flag,
	invalidArgument,
	acquireRequest,
	optionalFunction,
	prepareWatch,
	wrongArgument,
} = require('../options.js')
const { watchFile } = require('./watch.js')

const constants = native.coreConstants()

/** As in veil: a call that only reads or replaces finds the lock free or fails. */
const ONE_TRY_MS = 0

/**
 * @param {string} path
 * @param {string} name
 * @param {number | undefined} value
 * @param {number} limit
 */
const optionalInteger = (path, name, value, limit) => {
	if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value <= limit)) {
		throw wrongArgument(path, name, value, `an integer from 0 to ${limit}`)
	}
	return value
}

/**
 * Made absolute now: a document is one file, whatever the current folder becomes.
 *
 * @param {string | URL} path
 */
const absolute = (path, name = 'path') => unwrap(native.absolutePath(checkPath(path, name)))

const DOCUMENT_OPTIONS = [
	...['lock', 'lockFile', 'version', 'decode', 'encode', 'empty', 'onCorrupt'],
	...['durable', 'newFileMode', 'onWarning'],
]
const CALL_OPTIONS = ['timeoutMs', 'staleMs', 'signal']

/** @template T */
class Document {
	/** @type {{ registryLock: boolean, lockFile: string | undefined }} */
	#lock
	#codec
	#newFileMode
	#mustExist
	#writing

	/**
	 * @param {string | URL} given
	 * @param {DocumentOptions<T>} [options]
	 */
	constructor(given, options = {}) {
		this.path = absolute(given)
		const path = checkPath(given)
		checkOptions(path, options, DOCUMENT_OPTIONS)
		const { lockFile } = options
		const registryLock =
			choice(path, 'lock', options.lock, ['lock-file', 'registry']) === 'registry'
		if (lockFile !== undefined && registryLock) {
			const given = `${shown(lockFile)} was given`
			throw invalidArgument(
				path,
				`lockFile has no meaning with lock: 'registry', and ${given}; leave one of the two out`,
			)
		}
		this.#lock = {
			registryLock,
			lockFile: lockFile === undefined ? undefined : absolute(lockFile, 'lockFile'),
		}
		optionalFunction(path, 'decode', options.decode)
		optionalFunction(path, 'encode', options.encode)
		optionalFunction(path, 'empty', options.empty)
		optionalInteger(path, 'version', options.version, 2 ** 32 - 1)
		const onCorrupt = choice(path, 'onCorrupt', options.onCorrupt, ['fail', 'keep'])
		this.#codec = documentCodec(options)
		this.#mustExist = options.empty === undefined
		this.#newFileMode = optionalInteger(path, 'newFileMode', options.newFileMode, 0o777)
		const onWarning = optionalFunction(path, 'onWarning', options.onWarning)
		const durable = flag(path, 'durable', options.durable, true)
		this.#writing = { durable, onCorrupt, ...(onWarning && { onWarning }) }
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
		const unwritten = unwrittenContent(() => path)
		if (unwritten) return this.#loadedInside(call, unwritten)
		if (this.#isHeldByCaller(call)) {
			return this.#loadedInside(call, unwrap(await resultOf(native.read(path))))
		}
		const loading = new native.DocumentLoad(acquireRequest(call))
		try {
			return this.#loaded(call, unwrap(await unlessAborted(call, resultOf(loading.start()))))
		} finally {
			// A wait that was aborted would keep the process alive.
			loading.cancel()
		}
	}

	/**
	 * @param {DocumentCallOptions} [options]
	 * @returns {LoadedDocument<T>}
	 */
	loadSync(options) {
		const call = this.#call(options, ONE_TRY_MS)
		const { path, signal } = call
		if (signal?.aborted) throw updateAborted(path, signal)
		giveUpIfLeaving()
		const unwritten = unwrittenContent(() => path)
		if (unwritten) return this.#loadedInside(call, unwritten)
		if (this.#isHeldByCaller(call)) return this.#loadedInside(call, unwrap(native.readSync(path)))
		// One try finds the lock busy, and does not block the thread.
		if (call.lockFile !== undefined && call.timeoutMs > 0) refuseSync(call)
		return this.#loaded(call, waitSync(call, native.loadDocumentSync))
	}

	/**
	 * @param {T} value
	 * @param {DocumentCallOptions} [options]
	 * @returns {Promise<void>}
	 */
	async save(value, options) {
		const call = this.#replaceCall(options, ONE_TRY_MS)
		// Encoded now, not when the lock is free: the caller may change the value meanwhile.
		await submitUpdate(call, { text: encode(call, value) })
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
		return runLocked(this.#replaceCall(options, constants.timeoutMs), fn)
	}

	/**
	 * @param {DocumentWatchOptions} [options]
	 * @returns {RegistryWatch<T>}
	 */
	watch(options = {}) {
		checkOptions(this.path, options, WATCH_OPTIONS)
		const { signal, onWarning = this.#writing.onWarning } = options
		return watchFile(
			prepareWatch(this.path, this.#codec, {
				...(signal !== undefined && { signal }),
				...(onWarning !== undefined && { onWarning }),
			}),
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
	 * A call that replaces the value unread. Its caller does not need what is replaced, but the bytes are kept.
	 *
	 * @param {DocumentCallOptions | undefined} options
	 * @param {number} defaultTimeoutMs
	 * @returns {LockCall<T>}
	 */
	#replaceCall(options, defaultTimeoutMs) {
		return { ...this.#call(options, defaultTimeoutMs), onCorrupt: 'keep' }
	}

	/**
	 * @param {DocumentCallOptions | undefined} options
	 * @param {number} defaultTimeoutMs
	 * @returns {LockCall<T>}
	 */
	#call(options = {}, defaultTimeoutMs) {
		checkOptions(this.path, options, CALL_OPTIONS)
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
	 * Whether the calling code runs under the exclusive lock that a load would share.
	 *
	 * @param {LockCall<T>} call
	 */
	#isHeldByCaller(call) {
		return call.lockFile !== undefined && isInside(call.lockName)
	}

	/**
	 * @param {LockCall<T>} call
	 * @param {Content} content
	 */
	#loadedInside(call, content) {
		// Readers of a registry's lock take none.
		return this.#loaded(call, { ...content, locked: call.lockFile !== undefined })
	}

	/**
	 * @param {LockCall<T>} call
	 * @param {Pick<Content, 'text'> & { exists?: boolean, locked: boolean }} loaded
	 * @returns {LoadedDocument<T>}
	 */
	#loaded(call, { text, exists = true, locked }) {
		const { value, warning } = decode(call, { exists, text })
		if (warning) throw refusalOf(call, warning)
		return { value, locked }
	}
}

module.exports = { Document }
