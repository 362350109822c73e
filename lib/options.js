'use strict'

// What callers pass, checked before anything is done. The types are those that index.d.ts declares;
// the checks are for callers that don't keep to them.

/** @import { DocumentCodec, DocumentOptions, RegistryWarning, UpdateOptions, WatchOptions } from '../index.js' */
/** @import { Codec } from './codec/content.js' */
/** @import { LockRequest } from './addon/addon.d.ts' */

/**
 * The settings of a call that reads without a lock.
 *
 * @template T
 * @typedef {{ path: string, codec: Codec<T> }} ReadCall
 */

/**
 * The settings of a watch.
 *
 * @template T
 * @typedef {ReadCall<T> & {
 *   signal: AbortSignal | undefined,
 *   onWarning: (warning: RegistryWarning) => unknown,
 * }} WatchCall
 */

/**
 * The settings of a call that takes the lock. `startedAt` is when the call began, for its timeout.
 *
 * @template T
 * @typedef {WatchCall<T> & {
 *   timeoutMs: number,
 *   staleMs: number,
 *   durable: boolean,
 *   startedAt: number,
 * }} LockCall
 */

/**
 * The options of a call that takes the lock.
 *
 * @template T
 * @typedef {UpdateOptions | DocumentOptions<T>} CallOptions
 */

const { inspect } = require('node:util')
const constants = require('./addon/core-constants.js')
const native = require('./addon/load.js')
const { documentCodec } = require('./codec/custom-codec.js')
const { registryCodec } = require('./codec/registry-codec.js')
const { RegistryError, emitProcessWarning, messageOf, propertyOf, unwrap } = require('./errors.js')

/** Timers that are longer overflow and fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/**
 * @param {unknown} path
 * @param {string} reason
 */
const invalidArgument = (path, reason) =>
	new RegistryError('INVALID_VALUE', reason, {
		path: typeof path === 'string' ? path : inspect(path),
	})

/**
 * @param {string} path
 * @param {string} name
 * @param {number | undefined} value
 * @param {number} fallback
 */
const milliseconds = (path, name, value, fallback) => {
	if (value === undefined) return fallback
	if (typeof value !== 'number' || !(value >= 0)) {
		const what = 'a number of milliseconds, 0 or more'
		throw invalidArgument(path, `${name} must be ${what}, not ${inspect(value)}`)
	}
	return value
}

/**
 * @param {string} path
 * @param {string} name
 * @param {boolean | undefined} value
 * @param {boolean} fallback
 */
const flag = (path, name, value, fallback) => {
	if (value === undefined) return fallback
	if (typeof value !== 'boolean') throw invalidArgument(path, `${name} must be true or false`)
	return value
}

/**
 * @template F
 * @param {string} path
 * @param {string} name
 * @param {F} value
 */
const checkFunction = (path, name, value) => {
	if (typeof value !== 'function') throw invalidArgument(path, `${name} must be a function`)
	return value
}

/**
 * @template F
 * @param {string} path
 * @param {string} name
 * @param {F | undefined} value
 */
const optionalFunction = (path, name, value) =>
	value === undefined ? undefined : checkFunction(path, name, value)

/** @param {string} path */
const checkPath = (path, name = 'path') => {
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw invalidArgument(path, `${name} must be a string that names a file`)
	}
	return path
}

/**
 * @param {string} path
 * @param {AbortSignal | undefined} signal
 */
const checkSignal = (path, signal) => {
	if (signal === undefined) return undefined
	const methods = ['addEventListener', 'removeEventListener']
	const isSignal =
		typeof propertyOf(signal, 'aborted') === 'boolean' &&
		methods.every((method) => typeof propertyOf(signal, method) === 'function')
	// A value that only looks like a signal would fail later, in the middle of other callers' updates.
	if (!isSignal) throw invalidArgument(path, 'signal must be an AbortSignal')
	return signal
}

/**
 * The codec of a caller's documents; without one they are registries.
 *
 * @template T
 * @param {string} path
 * @param {DocumentCodec<T> | undefined} codec
 * @returns {Codec<T>}
 */
const checkCodec = (path, codec) => {
	// A cast, because index.d.ts has no codec just where T is RegistryV1.
	if (codec === undefined) return /** @type {Codec<T>} */ (/** @type {unknown} */ (registryCodec))
	if (codec === null || typeof codec !== 'object') {
		throw invalidArgument(path, 'codec must be an object')
	}
	optionalFunction(path, 'codec.decode', codec.decode)
	optionalFunction(path, 'codec.encode', codec.encode)
	checkFunction(path, 'codec.empty', codec.empty)
	return documentCodec(codec)
}

/**
 * Refuses a codec where it would be ignored.
 *
 * @param {string} path
 * @param {{ codec?: unknown } | undefined} options
 */
const refuseCodec = (path, options) => {
	if (options?.codec !== undefined) {
		throw invalidArgument(path, 'codec is for other files than registries')
	}
}

/**
 * A time of day, in milliseconds since 1970.
 *
 * @param {string} path
 * @param {string} name
 * @param {number | undefined} value
 */
const instant = (path, name, value) => {
	// As far as a Date goes: beyond, JavaScript would spell it in another way than Rust.
	if (value !== undefined && !(typeof value === 'number' && value >= 0 && value <= 8.64e15)) {
		const what = 'a time in milliseconds since 1970'
		throw invalidArgument(path, `${name} must be ${what}, not ${inspect(value)}`)
	}
	return value
}

/**
 * The time between two heartbeats.
 *
 * @param {string} path
 * @param {number | undefined} value
 */
const interval = (path, value) => {
	if (value !== undefined && !(value > 0 && value <= LONGEST_TIMER_MS)) {
		const what = `a number of milliseconds, above 0, at most ${LONGEST_TIMER_MS}`
		throw invalidArgument(path, `intervalMs must be ${what}, not ${inspect(value)}`)
	}
	return value ?? constants.heartbeatIntervalMs
}

/**
 * Calls the caller's `onWarning`. What it throws becomes a warning of the process and changes nothing
 * else.
 *
 * @param {WatchCall<unknown>} call
 * @param {RegistryWarning} warning
 */
const deliverWarning = ({ onWarning }, warning) => {
	/** @param {unknown} error */
	const warn = (error) => emitProcessWarning(`onWarning: ${messageOf(error)}`)
	try {
		Promise.resolve(onWarning(warning)).catch(warn)
	} catch (error) {
		warn(error)
	}
}

/**
 * The settings of a call that reads without a lock. Its path stays as the caller gave it.
 *
 * @template T
 * @param {string} path
 * @param {{ codec?: DocumentCodec<T> | undefined }} [options]
 * @returns {ReadCall<T>}
 */
const prepareRead = (path, options = {}) => {
	checkPath(path)
	if (options === null || typeof options !== 'object') {
		throw invalidArgument(path, 'options must be an object')
	}
	return { path, codec: checkCodec(path, options.codec) }
}

/**
 * The settings of a watch. Its path stays as the caller gave it: what the path leads to may change
 * while the watch lasts.
 *
 * @template T
 * @param {string} path
 * @param {WatchOptions & { codec?: DocumentCodec<T> | undefined }} [options]
 * @returns {WatchCall<T>}
 */
const prepareWatch = (path, options = {}) => {
	const { codec } = prepareRead(path, options)
	const signal = checkSignal(path, options.signal)
	const onWarning =
		optionalFunction(path, 'onWarning', options.onWarning) ??
		(({ message, code }) => emitProcessWarning(message, code))
	return { path, codec, signal, onWarning }
}

/**
 * The settings of a call that takes the lock, with the path as the caller gave it.
 *
 * @template T
 * @param {string} path
 * @param {CallOptions<T>} [options]
 * @returns {LockCall<T>}
 */
const checkCall = (path, options = {}) => {
	const { codec, signal, onWarning } = prepareWatch(path, options)
	const timeoutMs = milliseconds(path, 'timeoutMs', options.timeoutMs, constants.timeoutMs)
	const staleMs = milliseconds(path, 'staleMs', options.staleMs, constants.staleMs)
	const durable = flag(path, 'durable', options.durable, true)
	const startedAt = performance.now()
	return { path, codec, signal, onWarning, timeoutMs, staleMs, durable, startedAt }
}

/**
 * Like `checkCall`, with the one name of the file: two names of one file have one lock.
 *
 * @template T
 * @param {string} path
 * @param {CallOptions<T>} [options]
 * @returns {LockCall<T>}
 */
const prepare = (path, options) => {
	const call = checkCall(path, options)
	call.path = unwrap(native.resolve(path))
	return call
}

/**
 * How much of a call's timeout is over.
 *
 * @param {LockCall<unknown>} call
 */
const elapsedMs = ({ startedAt }) => performance.now() - startedAt

/**
 * How much of a call's timeout is left.
 *
 * @param {LockCall<unknown>} call
 */
const remainingMs = (call) => Math.max(0, call.timeoutMs - elapsedMs(call))

/**
 * The lock that a call asks the addon for.
 *
 * @param {LockCall<unknown>} call
 * @returns {LockRequest}
 */
const lockRequest = (call) => ({
	path: call.path,
	timeoutMs: call.timeoutMs,
	elapsedMs: elapsedMs(call),
	staleMs: call.staleMs,
})

module.exports = {
	LONGEST_TIMER_MS,
	checkCall,
	checkFunction,
	checkPath,
	deliverWarning,
	elapsedMs,
	flag,
	instant,
	interval,
	invalidArgument,
	lockRequest,
	milliseconds,
	optionalFunction,
	prepare,
	prepareRead,
	prepareWatch,
	refuseCodec,
	remainingMs,
}
