'use strict'

// The calls that update a registry.

const { submit } = require('./batch.js')
const { encode } = require('./content.js')
const { aborted, invalid, unwrap } = require('./errors.js')
const {
	acquire,
	acquireSync,
	commit,
	commitSync,
	mayRunAgain,
	open,
	release,
	unlessAborted,
} = require('./hold.js')
const { checkFunction, prepare } = require('./options.js')
const { enter, enterSync, inTurn, refuseSync, setHolding } = require('./turns.js')

const updateRegistry = async (path, updater, options) => {
	const call = prepare(path, options)
	return submit(call, { updater: checkFunction(path, 'updater', updater) })
}

const writeRegistry = async (path, registry, options) => {
	const call = prepare(path, options)
	// Now, not when the lock is free: the caller may change the object meanwhile.
	return submit(call, { text: encode(call.path, registry) })
}

const updateOnceSync = (call, updater) => {
	const { path } = call
	const hold = acquireSync(call)
	try {
		const opened = open(path, hold)
		const given = opened.registry
		const next = enterSync(path, () => updater(given))
		if (typeof next?.then === 'function') {
			// Nobody will ever wait for it.
			Promise.resolve(next).catch(() => {})
			throw invalid(path, 'the updater returned a promise; use updateRegistry for that')
		}
		const text = encode(path, next)
		if (next !== given || !opened.isAsRead(text)) commitSync(call, hold, opened.corrupt, text)
		return next
	} finally {
		release(hold)
	}
}

const updateRegistrySync = (path, updater, options) => {
	const call = prepare(path, options)
	checkFunction(path, 'updater', updater)
	if (call.signal?.aborted) throw aborted(call.path, call.signal)
	refuseSync(call.path)
	for (;;) {
		try {
			return updateOnceSync(call, updater)
		} catch (error) {
			if (!mayRunAgain(call, error)) throw error
		}
	}
}

/** The lock that `withRegistryLock` hands out, and how to end it. */
const heldLock = (call, hold) => {
	let closed = false
	/** The last write: they are done in the order in which they were asked for. */
	let writing = Promise.resolve()
	const write = (text) => {
		const { corrupt } = open(call.path, hold)
		return commit(call, hold, corrupt, text, call.durable, false)
	}
	const lock = {
		path: call.path,
		write: async (registry) => {
			if (closed) throw invalid(call.path, 'withRegistryLock is over, and its lock is released')
			const text = encode(call.path, registry)
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

const withRegistryLock = async (path, body, options) => {
	const call = prepare(path, options)
	checkFunction(path, 'fn', body)
	return inTurn(call, async (turn) => {
		const hold = await acquire(call)
		setHolding(turn, true)
		const { lock, close } = heldLock(call, hold)
		try {
			const { result, leave } = enter(call.path, () => body(lock))
			const value = await unlessAborted(call, result).finally(leave)
			await close()
			const failure = hold.check()
			if (failure) unwrap(failure)
			return value
		} finally {
			await close()
			release(hold)
		}
	})
}

module.exports = { updateRegistry, updateRegistrySync, withRegistryLock, writeRegistry }
