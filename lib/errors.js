'use strict'

// RegistryError, and how the addon's failures become one.

/** What every call of this package throws or rejects with, unless the caller's own code did. */
class RegistryError extends Error {
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

/** The system's name of an error number, as Node's own errors have it. Windows has other numbers. */
const errnoName = (number) => {
	if (process.platform === 'win32') return undefined
	// Not loaded before something has failed.
	const { errno } = require('node:os').constants
	return Object.keys(errno).find((name) => errno[name] === number)
}

const systemError = ({ cause, causeCode, errno: number }) => {
	if (cause === undefined) return undefined
	const error = new Error(cause)
	const code = errnoName(number) ?? causeCode
	return Object.assign(error, number !== undefined && { errno: -number }, code && { code })
}

/** A holder as callers see it. */
const holderOf = (holder) => ({ ...holder, alive: holder.alive ?? null })

const fromFailure = (failure) =>
	new RegistryError(failure.code, failure.message, {
		path: failure.path,
		holder: failure.holder && holderOf(failure.holder),
		cause: systemError(failure),
	})

/** The addon never throws: a failure is a value with a code. */
const isFailure = (outcome) => typeof outcome?.code === 'string'

/** The value of an outcome; throws if it is a failure. */
const unwrap = (outcome) => {
	if (isFailure(outcome)) throw fromFailure(outcome)
	return outcome
}

/** What was thrown, in words. Anything can be. */
const messageOf = (error) => {
	if (typeof error === 'string') return error
	try {
		return typeof error?.message === 'string' ? error.message : require('node:util').inspect(error)
	} catch {
		return 'something that can not be printed'
	}
}

/** Has the process warn. Only of codes of ours: Node throws over others that are no strings. */
const emitProcessWarning = (message, code) =>
	process.emitWarning(message, { type: 'RegistryWarning', code })

const invalid = (path, reason, cause) =>
	new RegistryError('INVALID_VALUE', `${path} was not written: ${reason}`, { path, cause })

const aborted = (path, signal, what = 'update') =>
	new RegistryError('ABORTED', `the ${what} of ${path} was aborted by its caller`, {
		path,
		cause: signal.reason,
	})

module.exports = {
	RegistryError,
	aborted,
	holderOf,
	invalid,
	messageOf,
	unwrap,
	emitProcessWarning,
}
