'use strict'

// What callers pass, checked before anything is done. The types are those that index.d.ts declares;
// the checks are for callers that don't keep to them.

/** @import { OnCorrupt, RegistryWarning, UpdateOptions, WatchOptions } from '../index.js' */
/** @import { Codec } from './codec/content.js' */
/** @import { AcquireRequest } from './addon/addon.d.ts' */
/** @import { Context } from './context.js' */

/** The addon that has the store of a path. @typedef {typeof import('./addon/addon.d.ts')} Addon */

/**
 * The settings of a call that reads without a lock.
 *
 * - `addon`: the addon that has the registry's store.
 *
 * @template T
 * @typedef {{ path: string, codec: Codec<T>, addon: Addon }} ReadCall
 */

/**
 * The settings of a watch.
 *
 * - `context`: the async context of the caller. Without one, the call's code runs in that context anyway.
 *
 * @template T
 * @typedef {ReadCall<T> & {
 *   signal: AbortSignal | undefined,
 *   onWarning: (warning: RegistryWarning) => unknown,
 *   context?: Context,
 * }} WatchCall
 */

/**
 * The settings of a call that takes the lock.
 *
 * - `onCorrupt`: what to do about content that can't be decoded.
 * - `startedAt`: when the call began, for its timeout.
 * - `lockName`: the name of the lock, by which locks are compared: the registry, or the lock file
 *   of a document.
 * - `lockFile`: the lock file of a document. Without it the lock is a registry's.
 * - `newFileMode`: the permission bits of a file that is new.
 * - `mustExist`: whether a missing file is an error.
 * - `folder`: whether the registry is a folder.
 * - `exclusive`: whether an update in etcd, which needs no lock, has the registry's lock nevertheless.
 * - `refusals`: how often the update was refused in etcd, because another process had changed what it read.
 *
 * @template T
 * @typedef {WatchCall<T> & {
 *   timeoutMs: number,
 *   staleMs: number,
 *   durable: boolean,
 *   onCorrupt: OnCorrupt,
 *   startedAt: number,
 *   lockName: string,
 *   lockFile?: string,
 *   newFileMode?: number,
 *   mustExist?: boolean,
 *   folder?: boolean,
 *   exclusive?: boolean,
 *   refusals?: number,
 * }} LockCall
 */

const { isAbsolute, sep } = require('node:path')
const native = require('./addon/load.js')
const { etcdAddon, isEtcdPath } = require('./addon/etcd.js')
const { monotonicMs } = require('./clock.js')
const { registryCodec } = require('./codec/registry-codec.js')
const { runIn } = require('./context.js')
const { emitProcessWarning, messageOf, propertyOf, unwrap } = require('./errors.js')
const { checkOptions } = require('./options/names.js')
const { checkPath, checkStorePath, invalidArgument, wrongArgument } = require('./options/paths.js')

const constants = native.coreConstants()

const WATCH_OPTIONS = ['signal', 'onWarning']

/** The options of an update, to which other calls add theirs. */
const UPDATE_OPTIONS = ['timeoutMs', 'staleMs', 'durable', 'onCorrupt', ...WATCH_OPTIONS]

/** Timers that are longer overflow and fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * @param {string} path
 * @param {string} name
 * @param {number | undefined} value
 * @param {number} fallback
 */
const milliseconds = (path, name, value, fallback) => {
	if (value === undefined) return fallback
	if (typeof value !== 'number' || !(value >= 0)) {
		throw wrongArgument(path, name, value, 'a number of milliseconds, 0 or more')
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
	if (typeof value !== 'boolean') throw wrongArgument(path, name, value, 'true or false')
	return value
}

/**
 * @template F
 * @param {string | URL} path
 * @param {string} name
 * @param {F} value
 */
const checkFunction = (path, name, value) => {
	if (typeof value !== 'function') throw wrongArgument(path, name, value, 'a function')
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
	throw wrongArgument(path, name, value, choices.map((each) => `'${each}'`).join(' or '))
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
	// A value that only looks like a signal would fail later, in the middle of other callers'
	// updates.
	if (!isSignal) throw wrongArgument(path, 'signal', signal, 'an AbortSignal')
	return signal
}

/**
 * A time of day, in milliseconds since 1970.
 *
 * @param {string} path
 * @param {string} name
 * @param {number | undefined} value
 */
const instant = (path, name, value) => {
	// As far as a Date goes: JavaScript spells greater numbers in another way than Rust.
	if (value !== undefined && !(typeof value === 'number' && value >= 0 && value <= 8.64e15)) {
		throw wrongArgument(path, name, value, 'a time in milliseconds since 1970')
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
	if (value !== undefined && !(typeof value === 'number' && value > 0 && value <= MAX_TIMER_MS)) {
		const what = `a number of milliseconds, above 0, at most ${MAX_TIMER_MS}`
		throw wrongArgument(path, 'intervalMs', value, what)
	}
	return value ?? constants.heartbeatIntervalMs
}

/**
 * Calls the caller's `onWarning`. What it throws becomes a warning of the process and changes
 * nothing else.
 *
 * @param {WatchCall<unknown>} call
 * @param {RegistryWarning} warning
 */
const deliverWarning = ({ onWarning, context }, warning) => {
	/** @param {unknown} error */
	const warn = (error) => emitProcessWarning(`onWarning: ${messageOf(error)}`)
	runIn(context, () => {
		try {
			Promise.resolve(onWarning(warning)).catch(warn)
		} catch (error) {
			warn(error)
		}
	})
}

/** @param {string | URL} given @param {Codec<any>} codec */
const pathOf = (given, codec) => checkStorePath(given, { isRegistry: codec === registryCodec })

/** The addon that has the store of a path. @param {string} path @returns {Addon} */
const addonOf = (path) => (isEtcdPath(path) ? etcdAddon(path) : native)

/**
 * The settings of a call that reads without a lock. Its path stays as the caller gave it.
 *
 * @template T
 * @param {string | URL} given
 * @param {Codec<T>} codec
 * @returns {ReadCall<T>}
 */
const prepareRead = (given, codec) => {
	const path = pathOf(given, codec)
	return { path, codec, addon: addonOf(path) }
}

/**
 * The settings of a watch. Its path stays as the caller gave it: what the path leads to may change
 * while the watch lasts.
 *
 * @template T
 * @param {string | URL} given
 * @param {Codec<T>} codec
 * @param {WatchOptions} [options]
 * @param {readonly string[]} [known] The names of the options that the call has.
 * @returns {WatchCall<T>}
 */
const prepareWatch = (given, codec, options = {}, known = WATCH_OPTIONS) => {
	const path = pathOf(given, codec)
	checkOptions(path, options, known)
	const signal = checkSignal(path, options.signal)
	const onWarning =
		optionalFunction(path, 'onWarning', options.onWarning) ??
		(({ message, code }) => emitProcessWarning(message, code))
	return { path, codec, addon: addonOf(path), signal, onWarning }
}

/**
 * The settings of a call that takes the lock, with the path as the caller gave it.
 *
 * @template T
 * @param {string | URL} given
 * @param {Codec<T>} codec
 * @param {UpdateOptions} [options]
 * @param {readonly string[]} [known] The names of the options that the call has.
 * @returns {LockCall<T>}
 */
const checkCall = (given, codec, options = {}, known = UPDATE_OPTIONS) => {
	const { path, addon, signal, onWarning } = prepareWatch(given, codec, options, known)
	const timeoutMs = milliseconds(path, 'timeoutMs', options.timeoutMs, constants.timeoutMs)
	const staleMs = milliseconds(path, 'staleMs', options.staleMs, constants.staleMs)
	const durable = flag(path, 'durable', options.durable, true)
	const onCorrupt = choice(path, 'onCorrupt', options.onCorrupt, ['keep', 'fail'])
	const startedAt = monotonicMs()
	const writing = { timeoutMs, staleMs, durable, onCorrupt }
	return { path, codec, addon, signal, onWarning, ...writing, startedAt, lockName: path }
}

/**
 * Like `checkCall`, with the one name of the file or folder: two names of one file have one lock. A folder's
 * path stays as the caller gave it, if that is absolute: by its spelling a heartbeat finds the claims that
 * this process holds.
 *
 * @template T
 * @param {string | URL} path
 * @param {Codec<T>} codec
 * @param {UpdateOptions} [options]
 * @param {readonly string[]} [known]
 * @returns {LockCall<T>}
 */
const prepare = (path, codec, options, known) => {
	const call = checkCall(path, codec, options, known)
	const name = unwrap(call.addon.resolve(call.path))
	call.folder = call.addon === native && name.endsWith(sep)
	if (!call.folder || !isAbsolute(call.path)) call.path = name
	call.lockName = name
	return call
}

/**
 * How much of a call's timeout is over.
 *
 * @param {LockCall<unknown>} call
 */
const elapsedMs = ({ startedAt }) => monotonicMs() - startedAt

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
 * @returns {AcquireRequest}
 */
const acquireRequest = (call) => {
	/** @type {AcquireRequest & { exclusive?: boolean, refusals?: number }} */
	const request = {
		path: call.path,
		timeoutMs: call.timeoutMs,
		elapsedMs: elapsedMs(call),
		staleMs: call.staleMs,
	}
	// Set one by one: the engine caches no object that is made with spreads.
	if (call.lockFile !== undefined) request.lockFile = call.lockFile
	if (call.newFileMode !== undefined) request.newFileMode = call.newFileMode
	if (call.mustExist) request.mustExist = true
	if (call.folder) request.folder = true
	if (call.exclusive) request.exclusive = true
	if (call.refusals !== undefined) request.refusals = call.refusals
	return request
}

module.exports = {
	MAX_TIMER_MS,
	UPDATE_OPTIONS,
	WATCH_OPTIONS,
	checkCall,
	checkFunction,
	checkOptions,
	checkPath,
	choice,
	deliverWarning,
	elapsedMs,
	flag,
	instant,
	interval,
	invalidArgument,
	acquireRequest,
	milliseconds,
	optionalFunction,
	prepare,
	prepareRead,
	prepareWatch,
	remainingMs,
	wrongArgument,
}
