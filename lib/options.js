'use strict'

// What callers pass, checked before anything is done.

const { inspect } = require('node:util')
const { registryCodec } = require('./codec/registry-codec.js')
const { documentCodec } = require('./codec/custom-codec.js')
const { RegistryError, messageOf, unwrap, emitProcessWarning } = require('./errors.js')
const native = require('./addon/load.js')

const DEFAULT_TIMEOUT_MS = 2_000
const DEFAULT_STALE_MS = 10_000

/** Timers that are longer overflow and fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

const invalidArgument = (path, reason) =>
	new RegistryError('INVALID_VALUE', reason, {
		path: typeof path === 'string' ? path : inspect(path),
	})

const milliseconds = (path, name, value, fallback) => {
	if (value === undefined) return fallback
	if (typeof value !== 'number' || !(value >= 0)) {
		throw invalidArgument(
			path,
			`${name} must be a number of milliseconds, 0 or more, not ${inspect(value)}`,
		)
	}
	return value
}

const optional = (path, name, value, type, what) => {
	if (value !== undefined && typeof value !== type)
		throw invalidArgument(path, `${name} must be ${what}`)
	return value
}

const flag = (path, name, value, fallback) =>
	optional(path, name, value, 'boolean', 'true or false') ?? fallback

const checkFunction = (path, name, value) => {
	if (typeof value !== 'function') throw invalidArgument(path, `${name} must be a function`)
	return value
}

const checkPath = (path, name = 'path') => {
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw invalidArgument(path, `${name} must be a string that names a file`)
	}
	return path
}

const checkSignal = (path, signal) => {
	if (signal === undefined) return undefined
	const methods = ['addEventListener', 'removeEventListener']
	const isSignal = (value) =>
		typeof value?.aborted === 'boolean' &&
		methods.every((method) => typeof value[method] === 'function')
	// One that only looks like it would fail later, in the middle of other callers' updates.
	if (!isSignal(signal)) throw invalidArgument(path, 'signal must be an AbortSignal')
	return signal
}

const checkOptions = (path, options) => {
	if (options === null || typeof options !== 'object')
		throw invalidArgument(path, 'options must be an object')
}

/** The codec of a caller's documents; by default they are registries. */
const checkCodec = (path, codec) => {
	if (codec === undefined) return registryCodec
	if (codec === null || typeof codec !== 'object')
		throw invalidArgument(path, 'codec must be an object')
	optional(path, 'codec.decode', codec.decode, 'function', 'a function')
	optional(path, 'codec.encode', codec.encode, 'function', 'a function')
	checkFunction(path, 'codec.empty', codec.empty)
	return documentCodec(codec)
}

/** Refuses what would only be ignored. */
const refuseCodec = (path, options) => {
	if (options?.codec !== undefined)
		throw invalidArgument(path, 'codec is for other files than registries')
}

const emitWarning = ({ message, code }) => emitProcessWarning(message, code)

/** A time of day, in milliseconds since 1970. */
const instant = (path, name, value) => {
	// As far as a Date goes: beyond, JavaScript would spell it in another way than Rust.
	if (value !== undefined && !(typeof value === 'number' && value >= 0 && value <= 8.64e15)) {
		throw invalidArgument(
			path,
			`${name} must be a time in milliseconds since 1970, not ${inspect(value)}`,
		)
	}
	return value
}

/** A time between two beats. */
const interval = (path, value, fallback) => {
	if (value !== undefined && !(value > 0 && value <= LONGEST_TIMER_MS)) {
		const what = `a number of milliseconds, above 0, at most ${LONGEST_TIMER_MS}`
		throw invalidArgument(path, `intervalMs must be ${what}, not ${inspect(value)}`)
	}
	return value ?? fallback
}

/** Tells the caller of a warning; if that fails, it changes nothing. */
const deliverWarning = ({ onWarning }, warning) => {
	const complain = (error) => emitProcessWarning(`onWarning: ${messageOf(error)}`)
	try {
		Promise.resolve(onWarning(warning)).catch(complain)
	} catch (error) {
		complain(error)
	}
}

/** The settings of a call that reads without a lock, and names the file as its caller does. */
const prepareRead = (path, options = {}) => {
	checkPath(path)
	checkOptions(path, options)
	return { path, codec: checkCodec(path, options.codec) }
}

/** Those of a watch, too. Where its path leads to may change meanwhile. */
const prepareWatch = (path, options = {}) => {
	const call = prepareRead(path, options)
	call.signal = checkSignal(path, options.signal)
	call.onWarning =
		optional(path, 'onWarning', options.onWarning, 'function', 'a function') ?? emitWarning
	return call
}

/** A call's settings, complete and checked, with the path as it was given. */
const checkCall = (path, options = {}) => {
	const call = prepareWatch(path, options)
	call.timeoutMs = milliseconds(path, 'timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS)
	call.staleMs = milliseconds(path, 'staleMs', options.staleMs, DEFAULT_STALE_MS)
	call.durable = flag(path, 'durable', options.durable, true)
	call.startedAt = performance.now()
	return call
}

/** The same with the registry's one name: two names of one file are one lock. */
const prepare = (path, options) => {
	const call = checkCall(path, options)
	call.path = unwrap(native.resolve(path))
	return call
}

/** What is over of a call's timeout. */
const elapsedMs = ({ startedAt }) => performance.now() - startedAt

/** What is left of it. */
const remainingMs = (call) => Math.max(0, call.timeoutMs - elapsedMs(call))

module.exports = {
	LONGEST_TIMER_MS,
	invalidArgument,
	checkCall,
	checkFunction,
	checkPath,
	elapsedMs,
	flag,
	instant,
	interval,
	milliseconds,
	optional,
	prepare,
	prepareRead,
	prepareWatch,
	refuseCodec,
	remainingMs,
	deliverWarning,
}
