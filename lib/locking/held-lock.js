'use strict'

// Taking the lock and committing: the addon's calls, with the caller's options around them.

/**
 * @import {
 *   AcquireRequest, Acquisition, AddonResult, CommitReport, CommitRequest, LockHandle,
 * } from '../addon/addon.d.ts'
 */
/** @import { Content } from '../codec/content.js' */
/** @import { LockCall } from '../options.js' */

const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { startTimer } = require('../clock.js')
const { RegistryError, isFailure, unwrap } = require('../errors.js')
const { MAX_TIMER_MS, deliverWarning, acquireRequest, remainingMs } = require('../options.js')
const { unlessAborted, updateAborted } = require('./abort-signal.js')
const { isTurnDue, letLoopTurn } = require('./event-loop.js')
const { isLeaving, onLeaving } = require('./thread-state.js')

const { inlineSizeLimit } = native.coreConstants()

/** How long a worker waits at a time, in a wait that blocks its thread. */
const SYNC_SLICE_MS = 100

/**
 * A lock that is not released: whether it was acquired at once, and the calls whose changes were
 * committed under it.
 *
 * @typedef {{ isAtOnce: boolean, committed: LockCall<unknown>[] }} Hold
 */

/**
 * This thread's waits and locks that are not released. Without a reference from here the garbage
 * collector would release the lock of an updater that never settles.
 *
 * @type {Map<LockHandle | Acquisition, Hold | undefined>}
 */
const unreleased = new Map()

/** @param {LockHandle} lock @param {boolean} isAtOnce */
const retain = (lock, isAtOnce) => {
	unreleased.set(lock, { isAtOnce, committed: [] })
	return lock
}

/**
 * The locks of synchronous calls that `exit` handlers have made. Those calls go on.
 *
 * @type {WeakSet<object>}
 */
const takenWhileLeaving = new WeakSet()

onLeaving(() => {
	for (const each of [...unreleased.keys()]) {
		if (takenWhileLeaving.has(each)) continue
		if ('cancel' in each) {
			unreleased.delete(each)
			each.cancel()
		} else {
			// A commit that is under way on another thread ends before the lock is released.
			release(each)
		}
	}
})

/**
 * The error of a call whose lock was given up, because its thread was leaving, and that goes on: the
 * program has emitted `exit` itself.
 *
 * @param {LockCall<unknown>} call
 */
const givenUp = ({ path }) =>
	new RegistryError(
		'LOCK_LOST',
		`the lock of ${path} was given up, because the process emitted \`exit\`, so that this change was not written; run the update again`,
		{ path },
	)

/**
 * Takes the lock if that needs no wait and no other call that may block.
 *
 * @param {LockCall<unknown>} call
 */
const acquireAtOnce = ({ path, staleMs, lockFile, folder, addon }) => {
	// The addon locks a lock file on another thread: its folder and the file may have to be made. A folder may have any
	// number of entries to read, and a server takes its time.
	if (lockFile !== undefined || folder || addon !== native) return undefined
	const lock = native.acquireAtOnce(path, staleMs)
	return lock ? retain(lock, true) : undefined
}

/**
 * Settles as the promise does, or resolves when so much time is over.
 *
 * @template T
 * @param {number} left
 * @param {T | Promise<T>} promise
 * @returns {Promise<T | undefined>}
 */
const inTime = async (left, promise) => {
	// A call that does not wait at all settles as soon as it can.
	if (left === 0 || left > MAX_TIMER_MS) return promise
	let stopTimer = () => {}
	const isOver = new Promise((resolve) => {
		stopTimer = startTimer(left, () => resolve(undefined))
	})
	try {
		return await Promise.race([promise, isOver])
	} finally {
		stopTimer()
	}
}

/** @param {LockCall<unknown>} call */
const acquireByWaiting = async (call) => {
	// First: a wait that has time left for the addon must have a timer here.
	const left = remainingMs(call)
	const acquisition = new call.addon.Acquisition(acquireRequest(call))
	unreleased.set(acquisition, undefined)
	try {
		const acquiring = resultOf(acquisition.start())
		// A wait for servers ends by itself, and tells what they have done.
		const ended = call.addon === native ? inTime(left, acquiring) : acquiring
		// A wait that could not begin, for want of a thread, has no other result.
		unwrap(await unlessAborted(call, ended))
		if (!unreleased.has(acquisition)) throw givenUp(call)
		return retain(unwrap(acquisition.take()), false)
	} catch (error) {
		// If the thread still gets the lock, it releases it.
		acquisition.cancel()
		throw error
	} finally {
		unreleased.delete(acquisition)
	}
}

/**
 * Takes the lock, however long that may take within the call's timeout.
 *
 * @param {LockCall<unknown>} call
 */
const acquire = async (call) => {
	const { path, signal } = call
	while (isTurnDue()) await letLoopTurn()
	if (signal?.aborted) throw updateAborted(path, signal)
	return acquireAtOnce(call) ?? acquireByWaiting(call)
}

/** @type {boolean | undefined} */
let isWorker

/** Whether this thread is a worker's. */
const isInWorker = () => {
	// Required here: loading it takes longer than the rest of this package. It is part of the runtime, so
	// this can't fail.
	isWorker ??= !require('node:worker_threads').isMainThread
	return isWorker
}

/**
 * Waits on the calling thread. In a worker it waits a slice at a time: a worker that is terminated ends
 * between two slices. Meanwhile the process keeps its place in the kernel's queue, but the thread does
 * not keep its own among others of the process.
 *
 * @template T
 * @param {LockCall<unknown>} call
 * @param {(request: AcquireRequest) => AddonResult<T>} wait
 */
const waitSync = (call, wait) => {
	for (;;) {
		const request = acquireRequest(call)
		if (call.addon === native && isInWorker()) {
			request.timeoutMs = Math.min(call.timeoutMs, request.elapsedMs + SYNC_SLICE_MS)
		}
		const result = wait(request)
		const isOver = isFailure(result) && result.code === 'LOCK_TIMEOUT'
		if (isOver && remainingMs(call) > 0) continue
		return unwrap(result)
	}
}

/** @param {LockCall<unknown>} call */
const acquireSync = (call) => {
	const lock = retain(waitSync(call, call.addon.acquireSync), false)
	if (isLeaving()) takenWhileLeaving.add(lock)
	return lock
}

/**
 * Tells callers that their changes were written, and that the lock was taken away before its release.
 *
 * @param {LockCall<unknown>[]} calls
 */
const reportLost = (calls) => {
	for (const call of new Set(calls)) {
		const { path } = call
		deliverWarning(call, { code: 'LOCK_LOST', path, message: native.lockLostWarning(path) })
	}
}

/**
 * Releases a lock; does nothing if a commit has released it.
 *
 * @param {LockHandle} lock
 */
const release = (lock) => {
	const hold = unreleased.get(lock)
	if (!hold) return
	unreleased.delete(lock)
	// A failure is not the caller's: what it wrote is in the file, and the kernel releases the lock.
	if (lock.release() === true) reportLost(hold.committed)
}

/**
 * The content that was read under the lock.
 *
 * @param {LockHandle} lock
 * @returns {Content}
 */
const contentOf = (lock) => {
	const text = lock.text()
	return typeof text === 'string' ? { exists: true, text } : { exists: text }
}

/**
 * Delivers the warning of corrupt content that was replaced. If that fails, what is committed stays
 * committed.
 *
 * @param {LockCall<unknown>} call
 * @param {string} reason
 * @param {string | null | undefined} kept
 */
const reportReplaced = (call, reason, kept) => {
	const { path, codec } = call
	const message = kept
		? `${path} was not ${codec.noun} (${reason}); it was replaced, and its bytes are kept in ${kept}`
		: `${path} was not ${codec.noun}, because it was empty; it was replaced`
	deliverWarning(call, { code: 'CORRUPT', path, message, ...(kept && { kept }) })
}

/**
 * Whether a call that failed lost its lock, and has time to run its updater again. So may an update of a
 * folder that has added an entry whose id a watcher has claimed meanwhile, which takes no lock; and one in etcd
 * that found at its commit that another process has changed what it read. Those are counted: the next try pauses
 * before it begins, the longer the more there were.
 *
 * @param {LockCall<unknown>} call
 * @param {unknown} error
 */
const mayRunAgain = (call, error) => {
	if (!(error instanceof RegistryError) || error.path !== call.path) return false
	const isRefused = error.code === 'LOCK_TIMEOUT' && call.addon !== native
	if (isRefused) call.refusals = (call.refusals ?? 0) + 1
	const isTaken = error.code === 'ID_TAKEN' && call.folder === true
	return (error.code === 'LOCK_LOST' || isTaken || isRefused) && remainingMs(call) > 0
}

/**
 * A text to commit for calls that have changed it; without a text, the content is only made durable.
 * `corrupt` is the reason why the content that it replaces is kept, if it is; `call`, which is the first
 * one, has found it so.
 *
 * @typedef {{
 *   call: LockCall<unknown>,
 *   calls: LockCall<unknown>[],
 *   text: string | undefined,
 *   durable: boolean,
 *   corrupt: string | undefined,
 * }} Change
 */

/**
 * What to do when a commit is done; throws if it has failed.
 *
 * @param {LockHandle} lock
 * @param {Change} change
 * @param {CommitRequest} request
 * @param {AddonResult<CommitReport | null | undefined>} result
 */
const finish = (lock, { call, calls, text, corrupt }, request, result) => {
	const report = unwrap(result)
	const hold = unreleased.get(lock)
	if (request.release) unreleased.delete(lock)
	else if (text !== undefined) hold?.committed.push(...calls)
	if (corrupt !== undefined) reportReplaced(call, corrupt, report?.kept)
	if (report?.lockLost) reportLost([...(hold?.committed ?? []), ...calls])
}

/** @param {Change} change @param {boolean} release @returns {CommitRequest} */
const commitRequest = ({ text, durable, corrupt }, release) => {
	const keepOld = corrupt !== undefined
	// Two literals: the engine caches no object that is made with a spread.
	return text === undefined ? { durable, keepOld, release } : { text, durable, keepOld, release }
}

/**
 * Replaces the content, then releases the lock if told to; returns a promise only if another thread
 * does that.
 *
 * @param {LockHandle} lock
 * @param {Change} change
 * @param {{ release: boolean }} how
 */
const commit = (lock, change, { release }) => {
	const { text, durable } = change
	if (!unreleased.has(lock)) throw givenUp(change.call)
	const request = commitRequest(change, release)
	const mayBeAtOnce = !durable && text !== undefined && text.length <= inlineSizeLimit
	if (mayBeAtOnce && ((release && unreleased.get(lock)?.isAtOnce) || lock.commitsAtOnce())) {
		return finish(lock, change, request, lock.commitSync(request))
	}
	const result = Promise.resolve(resultOf(lock.commit(request)))
	return result.then((result) => finish(lock, change, request, result))
}

/**
 * Replaces the content on the calling thread, and releases the lock.
 *
 * @param {LockHandle} lock
 * @param {Change} change
 */
const commitSync = (lock, change) => {
	if (!unreleased.has(lock)) throw givenUp(change.call)
	const request = commitRequest(change, true)
	finish(lock, change, request, lock.commitSync(request))
}

module.exports = {
	acquire,
	acquireSync,
	commit,
	commitSync,
	contentOf,
	mayRunAgain,
	release,
	reportLost,
	reportReplaced,
	waitSync,
}
