'use strict'

// Taking the lock and committing: the addon's calls, with the caller's options around them.

const { isMainThread } = require('node:worker_threads')
const { onAbort } = require('./abort-signal.js')
const { outcomeOf } = require('../addon/background.js')
const { RegistryError, aborted, unwrap } = require('../errors.js')
const native = require('../addon/load.js')
const { LONGEST_TIMER_MS, elapsedMs, remainingMs, deliverWarning } = require('../options.js')
const { isDue, letLoopTurn } = require('./event-loop.js')

const SLICE_MS = 100

/** What is longer takes its time to write. */
const LARGEST_AT_ONCE = 256 * 1024

/**
 * Waits, and holds that are not released, of this thread: the collector would take the lock of an
 * updater that never settles for garbage, and release it. With whether they were acquired at once.
 */
const unreleased = new Map()

/** Settles as the promise does, unless the caller aborts first. */
const unlessAborted = async ({ path, signal }, promise) => {
	if (!signal) return promise
	let stopListening
	const abort = new Promise((_, reject) => {
		stopListening = onAbort(signal, () => reject(aborted(path, signal)))
		if (signal.aborted) reject(aborted(path, signal))
	})
	try {
		return await Promise.race([promise, abort])
	} finally {
		stopListening()
	}
}

/** Takes the lock if that needs no wait, nor anything else that may block. */
const acquireAtOnce = ({ path, staleMs }) => {
	const hold = native.acquireAtOnce(path, staleMs) ?? undefined
	if (hold) unreleased.set(hold, true)
	return hold
}

/** Settles as the promise does, or resolves when so much time is over. */
const inTime = async (left, promise) => {
	// One that is not to wait at all hears as soon as can be.
	if (left === 0 || left > LONGEST_TIMER_MS) return promise
	let timer
	const isOver = new Promise((resolve) => {
		timer = setTimeout(resolve, left)
	})
	try {
		return await Promise.race([promise, isOver])
	} finally {
		clearTimeout(timer)
	}
}

const acquireByWaiting = async (call) => {
	const { path, timeoutMs, staleMs } = call
	// First: what the addon takes for a wait must not be one without a timer here.
	const left = remainingMs(call)
	const acquisition = new native.Acquisition(path, timeoutMs, elapsedMs(call), staleMs)
	unreleased.set(acquisition, false)
	try {
		unwrap(await unlessAborted(call, inTime(left, outcomeOf(acquisition.start()))))
		const hold = unwrap(acquisition.take())
		unreleased.set(hold, false)
		return hold
	} catch (error) {
		// What it may still get is released as it comes.
		acquisition.cancel()
		throw error
	} finally {
		unreleased.delete(acquisition)
	}
}

const acquire = async (call) => {
	const { path, signal } = call
	while (isDue()) await letLoopTurn()
	if (signal?.aborted) throw aborted(path, signal)
	return acquireAtOnce(call) ?? acquireByWaiting(call)
}

/**
 * Waits on the calling thread. In a worker a slice at a time: between two, one that is terminated
 * ends. Meanwhile the process keeps its place in the kernel's queue, though not the thread its own
 * among others of the process.
 */
const acquireSync = (call) => {
	for (;;) {
		const elapsed = elapsedMs(call)
		const untilMs = isMainThread ? call.timeoutMs : Math.min(call.timeoutMs, elapsed + SLICE_MS)
		const outcome = native.acquireSync(call.path, untilMs, elapsed, call.staleMs)
		if (outcome.code === 'LOCK_TIMEOUT' && remainingMs(call) > 0) continue
		const hold = unwrap(outcome)
		unreleased.set(hold, false)
		return hold
	}
}

/** Releases a hold; does nothing if a commit has. */
const release = (hold) => {
	if (unreleased.delete(hold)) hold.release()
}

/** The content that was read under the lock. */
const contentOf = (hold) => {
	const text = hold.text()
	return typeof text === 'string' ? { exists: true, text } : { exists: text, text: null }
}

/** Tells the caller of content that was set aside; what is committed stays committed. */
const reportReplaced = (call, warning, kept) => {
	const where = kept ? `its bytes are kept in ${kept}` : 'its bytes are gone'
	const { path, noun, reason } = warning
	const message = `${path} was not ${noun} (${reason}); it was replaced, and ${where}`
	deliverWarning(call, { code: warning.code, path, message, kept })
}

/** Whether a call that lost its lock may run its updater again. */
const mayRunAgain = (call, error) =>
	error instanceof RegistryError &&
	error.code === 'LOCK_LOST' &&
	error.path === call.path &&
	remainingMs(call) > 0

/** What is to be done when a commit has succeeded; throws if it has not. */
const finish = (call, hold, corrupt, isReleased, outcome) => {
	const kept = unwrap(outcome)
	if (isReleased) unreleased.delete(hold)
	if (corrupt) reportReplaced(call, corrupt, kept ?? undefined)
}

/** Replaces the content; returns a promise only if that is done on another thread. */
const commit = (call, hold, corrupt, text, durable, thenRelease) => {
	const keepOld = corrupt !== undefined
	const settle = (outcome) => finish(call, hold, corrupt, thenRelease, outcome)
	const mayBeAtOnce = !durable && text.length <= LARGEST_AT_ONCE
	return mayBeAtOnce && ((thenRelease && unreleased.get(hold)) || hold.commitsAtOnce())
		? settle(hold.commitSync(text, durable, keepOld, thenRelease))
		: outcomeOf(hold.commit(text, durable, keepOld, thenRelease)).then(settle)
}

const commitSync = (call, hold, corrupt, text) => {
	const outcome = hold.commitSync(text, call.durable, corrupt !== undefined, true)
	finish(call, hold, corrupt, true, outcome)
}

module.exports = {
	acquire,
	acquireSync,
	commit,
	commitSync,
	contentOf,
	mayRunAgain,
	release,
	reportReplaced,
	unlessAborted,
}
