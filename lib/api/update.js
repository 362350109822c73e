'use strict'

// The calls that update a registry, or a document.

/** @import { HeldLock } from '../addon/addon.d.ts' */
/** @import { Content } from '../codec/content.js' */
/** @import { HeldRegistryLock } from '../../index.js' */
/** @import { LockCall, CallOptions } from '../options.js' */

const { look, open } = require('../codec/content.js')
const { invalid, isThenable, unwrap } = require('../errors.js')
const { unlessAborted, updateAborted } = require('../locking/abort-signal.js')
const { submitUpdate } = require('../locking/batch.js')
const {
	acquire,
	acquireSync,
	commit,
	commitSync,
	contentOf,
	mayRunAgain,
	release,
} = require('../locking/held-lock.js')
const {
	markHolding,
	refuseSync,
	runInScope,
	runInSyncScope,
	runQueued,
} = require('../locking/queue.js')
const { checkFunction, prepare } = require('../options.js')

/**
 * @template T
 * @param {string} path
 * @param {(given: T) => T | Promise<T>} updater
 * @param {CallOptions<T>} [options]
 * @returns {Promise<T>}
 */
const updateRegistry = async (path, updater, options) => {
	const call = prepare(path, options)
	return submitUpdate(call, { updater: checkFunction(path, 'updater', updater) })
}

/**
 * @template T
 * @param {string} path
 * @param {T} registry
 * @param {CallOptions<T>} [options]
 * @returns {Promise<void>}
 */
const writeRegistry = async (path, registry, options) => {
	const call = prepare(path, options)
	// Encoded now, not when the lock is free: the caller may change the object meanwhile.
	await submitUpdate(call, { text: call.codec.encode(call.path, registry) })
}

/**
 * Runs the caller's code, of which the codec is a part: the value to return, and the text to write if
 * it has changed.
 *
 * @template T
 * @param {LockCall<T>} call
 * @param {Content} content
 * @param {(given: T) => T} updater
 */
const runSync = (call, content, updater) => {
	const { path, codec } = call
	const { given, corrupt, isChanged } = open(call, content)
	const next = updater(given)
	if (isThenable(next)) {
		// No code waits for this promise, so its rejection must not count as unhandled.
		Promise.resolve(next).catch(() => {})
		throw invalid(path, 'the updater returned a promise; use updateRegistry for that')
	}
	const text = codec.encode(path, next)
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
		const run = runInSyncScope(call.path, () => runSync(call, content, updater))
		const { text, corrupt } = run
		if (run.mustWrite) commitSync(lock, { call, text, durable: call.durable, corrupt })
		return run.next
	} finally {
		release(lock)
	}
}

/**
 * @template T
 * @param {string} path
 * @param {(given: T) => T} updater
 * @param {CallOptions<T>} [options]
 * @returns {T}
 */
const updateRegistrySync = (path, updater, options) => {
	const call = prepare(path, options)
	checkFunction(path, 'updater', updater)
	if (call.signal?.aborted) throw updateAborted(call.path, call.signal)
	refuseSync(call.path)
	for (;;) {
		try {
			return updateOnceSync(call, updater)
		} catch (error) {
			if (!mayRunAgain(call, error)) throw error
		}
	}
}

/**
 * The lock that `withRegistryLock` hands out, and how to end it.
 *
 * @template D
 * @param {LockCall<D>} call
 * @param {HeldLock} held
 */
const handedOutLock = (call, held) => {
	let closed = false
	/**
	 * The last write: writes are done in the order of their calls.
	 *
	 * @type {Promise<void>}
	 */
	let writing = Promise.resolve()
	/** @param {string} text */
	const write = (text) => {
		const { corrupt } = look(call, contentOf(held))
		return commit(held, { call, text, durable: call.durable, corrupt }, { release: false })
	}
	/** @type {HeldRegistryLock<D>} */
	const lock = {
		path: call.path,
		write: async (registry) => {
			if (closed) throw invalid(call.path, 'withRegistryLock is over, and its lock is released')
			const text = call.codec.encode(call.path, registry)
			const written = writing.then(() => write(text))
			writing = written.catch(() => {})
			return written
		},
	}
	const close = () => {
		closed = true
		return writing
	}
	return { lock, close }
}

/**
 * @template T
 * @template D
 * @param {string} path
 * @param {(lock: HeldRegistryLock<D>) => T | Promise<T>} fn
 * @param {CallOptions<D>} [options]
 * @returns {Promise<T>}
 */
const withRegistryLock = async (path, fn, options) => {
	const call = prepare(path, options)
	checkFunction(path, 'fn', fn)
	const done = await runQueued(call, async (queued) => {
		const held = await acquire(call)
		markHolding(queued, true)
		const { lock, close } = handedOutLock(call, held)
		try {
			const { result, exit } = runInScope(call.path, () => fn(lock))
			const value = await unlessAborted(call, result).finally(exit)
			await close()
			unwrap(held.check())
			return { value }
		} finally {
			await close()
			release(held)
		}
	})
	// A cast, because only a call with a member may end without having run.
	return /** @type {{ value: T }} */ (done).value
}

module.exports = { updateRegistry, updateRegistrySync, withRegistryLock, writeRegistry }
