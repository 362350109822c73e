'use strict'

// The calls that update a registry.

const { submit } = require('../locking/batch.js')
const { look, open } = require('../codec/content.js')
const { aborted, invalid, unwrap } = require('../errors.js')
const {
	acquire,
	acquireSync,
	commit,
	commitSync,
	contentOf,
	mayRunAgain,
	release,
	unlessAborted,
} = require('../locking/held-lock.js')
const { checkFunction, prepare } = require('../options.js')
const {
	runInScope,
	runInSyncScope,
	runQueued,
	refuseSync,
	markHolding,
} = require('../locking/queue.js')

const updateRegistry = async (path, updater, options) => {
	const call = prepare(path, options)
	return submit(call, { updater: checkFunction(path, 'updater', updater) })
}

const writeRegistry = async (path, registry, options) => {
	const call = prepare(path, options)
	// Now, not when the lock is free: the caller may change the object meanwhile.
	return submit(call, { text: call.codec.encode(call.path, registry) })
}

/** Runs the caller's code, of which the codec is a part: what to return, and what to write. */
const runSync = (call, content, updater) => {
	const { path, codec } = call
	const { given, corrupt, isChanged } = open(call, content)
	const next = updater(given)
	if (typeof next?.then === 'function') {
		// Nobody will ever wait for it.
		Promise.resolve(next).catch(() => {})
		throw invalid(path, 'the updater returned a promise; use updateRegistry for that')
	}
	const text = codec.encode(path, next)
	return { next, text, corrupt, mustWrite: isChanged(next, text) }
}

const updateOnceSync = (call, updater) => {
	const hold = acquireSync(call)
	try {
		const content = contentOf(hold)
		const run = runInSyncScope(call.path, () => runSync(call, content, updater))
		if (run.mustWrite) commitSync(call, hold, run.corrupt, run.text)
		return run.next
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
		const { corrupt } = look(call, contentOf(hold))
		return commit(call, hold, corrupt, text, call.durable, false)
	}
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

const withRegistryLock = async (path, body, options) => {
	const call = prepare(path, options)
	checkFunction(path, 'fn', body)
	return runQueued(call, async (queued) => {
		const hold = await acquire(call)
		markHolding(queued, true)
		const { lock, close } = heldLock(call, hold)
		try {
			const { result, exit } = runInScope(call.path, () => body(lock))
			const value = await unlessAborted(call, result).finally(exit)
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
