'use strict'

// One update on the calling thread, which it blocks.

/** @import { Content } from '../codec/content.js' */
/** @import { LockCall } from '../options.js' */

const { open } = require('../codec/content.js')
const { invalid, isThenable } = require('../errors.js')
const { updateAborted } = require('./abort-signal.js')
const { acquireSync, commitSync, contentOf, mayRunAgain, release } = require('./held-lock.js')
const { refuseSync } = require('./queue.js')
const { runInSyncScope } = require('./scopes.js')

/**
 * Runs the caller's code, of which the codec is a part: the value to return, and the text to write
 * if it has changed.
 *
 * @template T
 * @param {LockCall<T>} call
 * @param {Content} content
 * @param {(given: T) => T} updater
 */
const runSync = (call, content, updater) => {
	const { path } = call
	const { given, corrupt, encode, isChanged } = open(call, content)
	const next = updater(given)
	if (isThenable(next)) {
		// No code waits for this promise, so its rejection must not count as unhandled.
		Promise.resolve(next).catch(() => {})
		throw invalid(path, 'the updater returned a promise; use the asynchronous call for that')
	}
	const text = encode(next)
	return { next, text, corrupt, mustWrite: isChanged(next, text) }
}

/**
 * @template T
 * @param {LockCall<T>} call
 * @param {(given: T) => T} updater
 */
const updateOnceSync = (call, updater) => {
	const lock = acquireSync(call)
	try {
		const content = contentOf(lock)
		const run = runInSyncScope(call.lockName, () => runSync(call, content, updater))
		const { durable } = call
		// A durable update that found its change in the file makes that durable.
		if (run.mustWrite) {
			commitSync(lock, { call, calls: [call], text: run.text, durable, corrupt: run.corrupt })
		} else if (durable) {
			commitSync(lock, { call, calls: [], text: undefined, durable, corrupt: undefined })
		}
		return run.next
	} finally {
		release(lock)
	}
}

/**
 * Runs the updater under the lock, again if the lock was lost, and commits what it returns.
 *
 * @template T
 * @param {LockCall<T>} call
 * @param {(given: T) => T} updater
 * @returns {T}
 */
const updateSync = (call, updater) => {
	if (call.signal?.aborted) throw updateAborted(call.path, call.signal)
	refuseSync(call)
	for (;;) {
		try {
			return updateOnceSync(call, updater)
		} catch (error) {
			if (!mayRunAgain(call, error)) throw error
		}
	}
}

module.exports = { updateSync }
