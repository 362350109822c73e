'use strict'

// What callers pass, checked before anything is done.

const { inspect } = require('node:util')
const { RegistryError, unwrap } = require('./errors.js')
const native = require('./native.js')

const DEFAULT_TIMEOUT_MS = 2_000
const DEFAULT_STALE_MS = 10_000

const bad = (path, reason) =>
	new RegistryError('INVALID_VALUE', reason, {
		path: typeof path === 'string' ? path : inspect(path),
	})

const milliseconds = (path, name, value, fallback) => {
	if (value === undefined) return fallback
	if (typeof value !== 'number' || !(value >= 0)) {
		throw bad(path, `${name} must be a number of milliseconds, 0 or more, not ${inspect(value)}`)
	}
	return value
}

const optional = (path, name, value, type, what) => {
	if (value !== undefined && typeof value !== type) throw bad(path, `${name} must be ${what}`)
	return value
}

const checkPath = (path, name = 'path') => {
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw bad(path, `${name} must be a string that names a file`)
	}
	return path
}

const checkSignal = (path, signal) => {
	if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
		throw bad(path, 'signal must be an AbortSignal')
	}
	return signal
}

const warn = (warning) =>
	process.emitWarning(warning.message, { type: 'RegistryWarning', code: warning.code })

/** Tells the caller of a warning; if that fails, it changes nothing. */
const tell = ({ onWarning }, warning) => {
	const complain = (error) => process.emitWarning(error instanceof Error ? error : String(error))
	try {
		Promise.resolve(onWarning(warning)).catch(complain)
	} catch (error) {
		complain(error)
	}
}

/** The settings of a watch. Its path is as given: where it leads to may change meanwhile. */
const prepareWatch = (path, options = {}) => {
	checkPath(path)
	if (options === null || typeof options !== 'object') throw bad(path, 'options must be an object')
	return {
		path,
		signal: checkSignal(path, options.signal),
		onWarning: optional(path, 'onWarning', options.onWarning, 'function', 'a function') ?? warn,
	}
}

/** A call's settings, complete and checked. Two names of one file are one lock. */
const prepare = (path, options = {}) => ({
	...prepareWatch(path, options),
	path: unwrap(native.resolve(path)),
	timeoutMs: milliseconds(path, 'timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS),
	staleMs: milliseconds(path, 'staleMs', options.staleMs, DEFAULT_STALE_MS),
	durable: optional(path, 'durable', options.durable, 'boolean', 'true or false') ?? true,
	startedAt: performance.now(),
})

const checkFunction = (path, name, value) => {
	if (typeof value !== 'function') throw bad(path, `${name} must be a function`)
	return value
}

/** What is over of a call's timeout. */
const elapsedMs = ({ startedAt }) => performance.now() - startedAt

/** What is left of it. */
const remainingMs = (call) => Math.max(0, call.timeoutMs - elapsedMs(call))

module.exports = {
	checkFunction,
	checkPath,
	elapsedMs,
	prepare,
	prepareWatch,
	remainingMs,
	tell,
}
