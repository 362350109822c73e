'use strict'

// A caller's function that runs while its call holds the lock.

/** @import { LockHandle } from '../addon/addon.d.ts' */
/** @import { LockCall } from '../options.js' */

/**
 * What the caller's function gets: the file's path, and how to replace its content.
 *
 * @template D
 * @typedef {{ readonly path: string, write(value: D): Promise<void> }} HandedOutLock
 */

const { resultOf } = require('../addon/background.js')
const { encode, look } = require('../codec/content.js')
const { invalid, unwrap } = require('../errors.js')
const { unlessAborted } = require('./abort-signal.js')
const { acquire, commit, contentOf, release } = require('./held-lock.js')
const { markHolding, runQueued } = require('./queue.js')
const { runInScope } = require('./scopes.js')

/**
 * The lock that the caller's function gets, and how to end it.
 *
 * @template D
 * @param {LockCall<D>} call
 * @param {LockHandle} held
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
		const change = { call, calls: [call], text, durable: call.durable, corrupt }
		return commit(held, change, { release: false })
	}
	/** @type {HandedOutLock<D>} */
	const lock = {
		path: call.path,
		write: async (value) => {
			if (closed)
				throw invalid(call.path, 'the call is over, and its lock is released; await each write')
			const text = encode(call, value)
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
 * Runs the caller's function under the lock, and returns what it returns.
 *
 * @template T
 * @template D
 * @param {LockCall<D>} call
 * @param {(lock: HandedOutLock<D>) => T | Promise<T>} fn
 * @returns {Promise<T>}
 */
const runLocked = async (call, fn) => {
	const done = await runQueued(call, async (queued) => {
		const held = await acquire(call)
		markHolding(queued, true)
		const { lock, close } = handedOutLock(call, held)
		try {
			const { result, exit } = runInScope(call.lockName, () => fn(lock))
			const value = await unlessAborted(call, result).finally(exit)
			await close()
			// Another thread may have to ask a server.
			unwrap(await resultOf(held.check()))
			return { value }
		} finally {
			await close()
			release(held)
		}
	})
	// A cast, because only a call with a member may end without having run.
	return /** @type {{ value: T }} */ (done).value
}

module.exports = { runLocked }
