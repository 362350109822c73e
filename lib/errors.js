'use strict'

// RegistryError, and how the addon's failures become one.

/** @import { AddonFailure, AddonResult, HolderInfo } from './addon/addon.d.ts' */
/** @import { LockHolder, RegistryErrorCode } from '../index.js' */

const { inspect } = require('node:util')

/** A text on one line. @param {string} text */
const onOneLine = (text) => text.replace(/\s*\n\s*/g, ' ')

class RegistryError extends Error {
	/**
	 * @param {RegistryErrorCode} code
	 * @param {string} message
	 * @param {{ path?: string, holder?: LockHolder | undefined, cause?: unknown }} [details]
	 */
	constructor(code, message, { path, holder, cause } = {}) {
		super(message, cause === undefined ? undefined : { cause })
		this.code = code
		this.path = path
		if (holder) this.holder = holder
	}
}
// On the prototype: an own property would be printed with every error.
Object.defineProperty(RegistryError.prototype, 'name', {
	value: 'RegistryError',
	configurable: true,
})

/**
 * The class as callers see it. A cast, because tsc sees neither the name that the prototype has nor
 * that every error of this package has a path.
 */
const DeclaredError = /** @type {typeof import('../index.js').RegistryError} */ (RegistryError)

/**
 * The system's name of an error number, as the errors of Node have it. Windows has other numbers.
 *
 * @param {number | undefined} number
 */
const errnoName = (number) => {
	if (process.platform === 'win32') return undefined
	// Required here: most processes never see such an error. It is part of the runtime, so this can't fail.
	const { errno } = require('node:os').constants
	return Object.entries(errno).find(([, each]) => each === number)?.[0]
}

/** @param {AddonFailure} failure */
const systemError = ({ cause, causeCode, errno: number }) => {
	if (cause === undefined) return undefined
	const error = new Error(cause)
	const code = errnoName(number) ?? causeCode
	return Object.assign(error, number !== undefined && { errno: -number }, code && { code })
}

/**
 * A holder as callers see it.
 *
 * @param {HolderInfo} holder
 * @returns {LockHolder}
 */
const holderOf = (holder) => ({ ...holder, alive: holder.alive ?? null })

/**
 * The error of a failure of the addon. Nothing else makes one of it.
 *
 * @param {AddonFailure} failure
 * @param {unknown} [cause] Default: the system's error.
 */
const registryError = (failure, cause = systemError(failure)) =>
	new DeclaredError(failure.code, failure.message, {
		path: failure.path,
		...(failure.holder && { holder: holderOf(failure.holder) }),
		cause,
	})

/**
 * @param {unknown} result
 * @returns {result is AddonFailure}
 */
const isFailure = (result) =>
	typeof result === 'object' && result !== null && 'failed' in result && result.failed === true

/**
 * The value of a result of the addon; throws if it is a failure.
 *
 * @template T
 * @param {AddonResult<T>} result
 * @returns {T}
 */
const unwrap = (result) => {
	if (isFailure(result)) throw registryError(result)
	return result
}

/**
 * A property of any value, also of none.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {unknown}
 */
const propertyOf = (value, name) =>
	// A cast, because every object has properties, if only undefined ones.
	value === undefined || value === null
		? undefined
		: /** @type {Record<string, unknown>} */ (Object(value))[name]

/** @param {unknown} value */
const isThenable = (value) => typeof propertyOf(value, 'then') === 'function'

/**
 * What was thrown, in words, on one line. Any value can be thrown.
 *
 * @param {unknown} error
 * @returns {string}
 */
const messageOf = (error) => {
	if (typeof error === 'string') return onOneLine(error)
	try {
		const message = propertyOf(error, 'message')
		return onOneLine(typeof message === 'string' ? message : inspect(error))
	} catch {
		return 'something that can not be printed'
	}
}

/**
 * A value that a caller gave, for a message: on one line, and shortened.
 *
 * @param {unknown} value
 * @returns {string}
 */
const shown = (value) => {
	const limits = { depth: 0, maxStringLength: 60, maxArrayLength: 3, breakLength: Infinity }
	try {
		return onOneLine(inspect(value, limits))
	} catch {
		return 'something that can not be printed'
	}
}

/**
 * Emits a warning of the process. `code` must be one of this package's: Node throws over others
 * that are no strings.
 *
 * @param {string} message
 * @param {string} [code]
 */
const emitProcessWarning = (message, code) =>
	process.emitWarning(message, { type: 'RegistryWarning', ...(code !== undefined && { code }) })

/**
 * @param {string} path
 * @param {string} reason What is wrong, and after a semicolon what to do.
 * @param {unknown} [cause]
 */
const invalid = (path, reason, cause) =>
	new DeclaredError('INVALID_VALUE', `${path} was not written: ${reason}`, { path, cause })

module.exports = {
	RegistryError: DeclaredError,
	emitProcessWarning,
	holderOf,
	invalid,
	isFailure,
	isThenable,
	messageOf,
	propertyOf,
	registryError,
	shown,
	unwrap,
}
