// Updates: take the lock, run the caller's code on what was read, commit, release.

const { onAbort } = require('./abort.js')
const { RegistryError, aborted, invalid, unwrap } = require('./errors.js')
const { decode, encode, refuseNewer } = require('./content.js')
const native = require('./native.js')
const { checkFunction, elapsedMs, prepare, remainingMs } = require('./options.js')
const { enter, enterSync, inTurn, refuseSync } = require('./turns.js')

/**
 * Waits and holds of this thread. The collector would take the lock of an updater that never
 * settles for garbage, and release it.
 */
const live = new Set()

const SYNC_SLICE_MS = 100

const isThenable = (value) => typeof value?.then === 'function'

/** Settles as the promise does, unless the caller aborts first. */
const unlessAborted = async ({ path, signal }, promise) => {
	if (!signal) return promise
	let forget
	const abort = new Promise((_, reject) => {
		forget = onAbort(signal, () => reject(aborted(path, signal)))
		if (signal.aborted) reject(aborted(path, signal))
	})
	try {
		return await Promise.race([promise, abort])
	} finally {
		forget()
	}
}

const acquire = async (call) => {
	const { path, signal, timeoutMs, staleMs } = call
	if (signal?.aborted) throw aborted(path, signal)
	const acquisition = new native.Acquisition(path, timeoutMs, elapsedMs(call), staleMs)
	live.add(acquisition)
	try {
		await unlessAborted(call, acquisition.start())
		return unwrap(acquisition.take())
	} catch (error) {
		// What it may still get is released as it comes.
		acquisition.cancel()
		throw error
	} finally {
		live.delete(acquisition)
	}
}

/**
 * Waits on the calling thread, a slice at a time: between two, a worker that is terminated ends.
 * Its place in the line of waiters is kept meanwhile.
 */
const acquireSync = (call) => {
	for (;;) {
		const elapsed = elapsedMs(call)
		const untilMs = Math.min(call.timeoutMs, elapsed + SYNC_SLICE_MS)
		const outcome = native.acquireSync(call.path, untilMs, elapsed, call.staleMs)
		if (outcome.code !== 'LOCK_TIMEOUT' || remainingMs(call) === 0) return unwrap(outcome)
	}
}

/** Tells the caller of content that was set aside; what is committed stays committed. */
const report = ({ onWarning }, warning, kept) => {
	const where = kept ? `its bytes are kept in ${kept}` : 'its bytes are gone'
	const message = `${warning.path} was not a registry (${warning.reason}); it was replaced, and ${where}`
	try {
		onWarning({ code: warning.code, path: warning.path, message, kept })
	} catch (error) {
		process.emitWarning(error instanceof Error ? error : String(error))
	}
}

/** Reads what the hold found, and keeps what it takes to see whether the updater changed it. */
const open = (path, hold) => {
	const found = hold.text()
	const { registry, warning } = decode(path, found)
	refuseNewer(path, warning)
	// What was read is printed anew only where it must be: most files are as we print them.
	const before = warning ? encode(path, registry) : undefined
	const isAsRead = (text) =>
		warning ? text === before : text === found.text || text === encode(path, JSON.parse(found.text))
	return { registry, corrupt: warning?.code === 'CORRUPT' ? warning : undefined, isAsRead }
}

/** The text to write for what an updater returned; undefined if there is nothing to write. */
const textToWrite = (path, opened, given, next) => {
	const text = encode(path, next)
	return next === given && opened.isAsRead(text) ? undefined : text
}

/** Whether a call that lost its lock may run its updater again. */
const mayRunAgain = (call, error) =>
	error instanceof RegistryError &&
	error.code === 'LOCK_LOST' &&
	error.path === call.path &&
	remainingMs(call) > 0

const commit = async (call, hold, opened, text, release) => {
	const committed = await hold.commit(text, call.durable, opened.corrupt !== undefined, release)
	const { kept } = unwrap(committed)
	if (opened.corrupt) report(call, opened.corrupt, kept)
}

const updateOnce = async (call, updater, turn) => {
	const { path } = call
	turn.needsNoThread = false
	const hold = await acquire(call)
	live.add(hold)
	try {
		const opened = open(path, hold)
		const given = opened.registry
		const next = await enter(path, () => unlessAborted(call, updater(given)))
		const text = textToWrite(path, opened, given, next)
		if (call.signal?.aborted) throw aborted(path, call.signal)
		if (text !== undefined) {
			turn.needsNoThread = true
			await commit(call, hold, opened, text, true)
		}
		return next
	} finally {
		live.delete(hold)
		hold.release()
	}
}

const updateRegistry = async (path, updater, options) => {
	const call = prepare(path, options)
	checkFunction(path, 'updater', updater)
	return inTurn(call, async (turn) => {
		for (;;) {
			try {
				return await updateOnce(call, updater, turn)
			} catch (error) {
				if (!mayRunAgain(call, error)) throw error
			}
		}
	})
}

const updateOnceSync = (call, updater) => {
	const { path } = call
	const hold = acquireSync(call)
	try {
		const opened = open(path, hold)
		const given = opened.registry
		const next = enterSync(path, () => updater(given))
		if (isThenable(next)) {
			// Nobody will ever wait for it.
			Promise.resolve(next).catch(() => {})
			throw invalid(path, 'the updater returned a promise; use updateRegistry for that')
		}
		const text = textToWrite(path, opened, given, next)
		if (text !== undefined) {
			const { kept } = unwrap(hold.commitSync(text, call.durable, opened.corrupt !== undefined))
			if (opened.corrupt) report(call, opened.corrupt, kept)
		}
		return next
	} finally {
		hold.release()
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

const writeRegistry = async (path, registry, options) => {
	const call = prepare(path, options)
	// Now, not when the lock is free: the caller may change the object meanwhile.
	const text = encode(call.path, registry)
	return inTurn(call, async (turn) => {
		for (;;) {
			const hold = await acquire(call)
			try {
				turn.needsNoThread = true
				return await commit(call, hold, open(call.path, hold), text, true)
			} catch (error) {
				if (!mayRunAgain(call, error)) throw error
			} finally {
				turn.needsNoThread = false
				hold.release()
			}
		}
	})
}

/** The lock that `withRegistryLock` hands out, and how to end it. */
const heldLock = (call, hold) => {
	let closed = false
	/** The last write: they are done in the order in which they were asked for. */
	let writing = Promise.resolve()
	const write = (text) => commit(call, hold, open(call.path, hold), text, false)
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
	return inTurn(call, async () => {
		const hold = await acquire(call)
		live.add(hold)
		const { lock, close } = heldLock(call, hold)
		try {
			const value = await enter(call.path, () => unlessAborted(call, body(lock)))
			await close()
			const failure = hold.check()
			if (failure) unwrap(failure)
			return value
		} finally {
			await close()
			live.delete(hold)
			hold.release()
		}
	})
}

module.exports = { updateRegistry, updateRegistrySync, withRegistryLock, writeRegistry }
