'use strict'

// The calls under one lock within this thread form a queue: they run one after the other, in order
// of arrival. A call that would wait for itself is refused.

/** @import { LockHolder } from '../../index.js' */
/** @import { LockCall } from '../options.js' */
/** @import { QueuedCall } from './thread-state.js' */

const native = require('../addon/load.js')
const { startTimer, timeOfDayMs } = require('../clock.js')
const { currentContext } = require('../context.js')
const { RegistryError, holderOf } = require('../errors.js')
const { MAX_TIMER_MS, remainingMs } = require('../options.js')
const { onAbort, updateAborted } = require('./abort-signal.js')
const { isInside } = require('./scopes.js')
const { giveUpIfLeaving, isLeaving, state } = require('./thread-state.js')

const { queues, heldSync } = state

/** @param {string} path @param {string} what */
const reEntrant = (path, what) =>
	new RegistryError('RE_ENTRANT', `${path} is being updated by this thread${what}`, { path })

/** @param {LockCall<unknown>} call */
const refuseNested = ({ path, lockName }) => {
	if (!isInside(lockName)) return
	throw reEntrant(
		path,
		'; change the value that the updater was given, or write by the lock that is held, instead',
	)
}

/**
 * Refuses a synchronous call that would block the thread that an asynchronous call needs to go on. In an
 * `exit` handler that call gives way.
 *
 * @param {LockCall<unknown>} call
 */
const refuseSync = (call) => {
	const { path, lockName } = call
	giveUpIfLeaving()
	refuseNested(call)
	if (heldSync.has(lockName))
		throw reEntrant(path, ', in a synchronous update; start this one after it')
	const first = isLeaving() ? undefined : queues.get(lockName)?.[0]
	if (first && !first.finishesOffThread) {
		throw reEntrant(path, ', in an asynchronous update; await or abort that first')
	}
}

/**
 * The holder of the lock that a queue is waiting for, as far as it can be found out.
 *
 * @param {LockCall<unknown>} call
 * @param {QueuedCall | undefined} first
 * @returns {LockHolder | undefined}
 */
const holderFor = ({ path, lockFile, addon }, first) => {
	if (first?.holdsLock) {
		const { since } = first
		return { pid: process.pid, ...(since !== undefined && { since }), alive: true }
	}
	// A lock file carries no record of its holder, and a registry in etcd none that a process could judge.
	const hasRecord = lockFile === undefined && addon === native
	const holder = hasRecord ? native.holderNow(path) : undefined
	return holder ? holderOf(holder) : undefined
}

/**
 * The error of a call whose timeout is over before it is the first of its queue.
 *
 * @param {LockCall<unknown>} call
 */
const timedOut = (call) => {
	const { lockName, timeoutMs } = call
	const first = queues.get(lockName)?.[0]
	const holder = holderFor(call, first)
	const why = first?.holdsLock
		? 'an earlier update of this thread is not done with it; end that, or wait longer'
		: 'earlier updates of this thread wait for it, too; wait longer'
	const what = `${lockName} is locked${holder?.pid ? ` by process ${holder.pid}` : ''}`
	const details = { path: lockName, ...(holder && { holder }) }
	return timeoutMs === 0
		? new RegistryError('LOCK_BUSY', `${what}: busy, because ${why}`, details)
		: new RegistryError(
				'LOCK_TIMEOUT',
				`${what}, still after ${timeoutMs / 1000} s, because ${why}`,
				details,
			)
}

/**
 * Calls `giveUp` with an error when the call's timeout is over or its caller aborts it. Returns how
 * to stop watching.
 *
 * @param {LockCall<unknown>} call
 * @param {(error: Error) => void} giveUp
 */
const onTimeoutOrAbort = (call, giveUp) => {
	const { path, signal } = call
	const stopListening = onAbort(signal, () => giveUp(updateAborted(path, signal)))
	const left = remainingMs(call)
	const stopTimer = left <= MAX_TIMER_MS ? startTimer(left, () => giveUp(timedOut(call))) : () => {}
	return () => {
		stopTimer()
		stopListening()
	}
}

/**
 * Waits until the call is the first of its queue (resolves with `false`) or runs in the batch of
 * the first one (`true`). A call that gives up leaves the queue.
 *
 * @param {LockCall<unknown>} call
 * @param {QueuedCall[]} queue
 * @param {QueuedCall} queued
 * @returns {Promise<boolean>}
 */
const waitUntilFirst = (call, queue, queued) =>
	new Promise((resolve, reject) => {
		let stop = () => {}
		queued.begin = (isBatched) => {
			stop()
			resolve(isBatched)
		}
		stop = onTimeoutOrAbort(call, (error) => {
			stop()
			leaveQueue(call.lockName, queue, queued)
			reject(error)
		})
	})

/**
 * Takes a call out of its queue. If it was the first, the next one begins.
 *
 * @param {string} lockName
 * @param {QueuedCall[]} queue
 * @param {QueuedCall} queued
 */
const leaveQueue = (lockName, queue, queued) => {
	const at = queue.indexOf(queued)
	if (at < 0) return
	queue.splice(at, 1)
	if (at > 0) return
	const [next] = queue
	if (next) next.begin(false)
	else queues.delete(lockName)
}

/**
 * Notes whether the call holds the lock now.
 *
 * @param {QueuedCall} queued
 * @param {boolean} holdsLock
 */
const markHolding = (queued, holdsLock) => {
	queued.holdsLock = holdsLock
	queued.since = holdsLock ? timeOfDayMs() : undefined
}

/**
 * Takes the next call out of the queue for the batch of the first one, if its member is of the
 * class and fits. Settling it is then left to that batch. Members of another copy of this package
 * are of another class: that copy may be newer.
 *
 * @template M
 * @param {string} lockName
 * @param {new (...args: never[]) => M} Member
 * @param {(member: M) => boolean} [fits]
 * @returns {M | undefined}
 */
const takeForBatch = (lockName, Member, fits = () => true) => {
	const queue = queues.get(lockName)
	const queued = queue?.[1]
	if (!(queued?.member instanceof Member) || !fits(queued.member)) return undefined
	queue?.splice(1, 1)
	queued.begin(true)
	return queued.member
}

/**
 * Runs `body` when all earlier calls under its lock are done. `body` gets the queued call, to note
 * when the rest of it needs this thread no more. A call with a `member` may run in the batch of an
 * earlier call instead; the result is undefined then.
 *
 * @template R
 * @param {LockCall<unknown>} call
 * @param {(queued: QueuedCall) => Promise<R>} body
 * @param {unknown} [member]
 * @returns {Promise<R | undefined>}
 */
const runQueued = async (call, body, member) => {
	const { path, lockName, signal } = call
	refuseNested(call)
	if (signal?.aborted) throw updateAborted(path, signal)
	const queue = queues.get(lockName) ?? []
	/** @type {QueuedCall} */
	const queued = {
		member,
		holdsLock: false,
		since: undefined,
		finishesOffThread: false,
		begin: () => {},
	}
	if (queue.length > 0 && call.timeoutMs === 0) throw timedOut(call)
	queue.push(queued)
	queues.set(lockName, queue)
	// A call that waits may run in the batch of another one, whose code would show it another context. A
	// call that is the first never does.
	if (queue[0] !== queued) call.context = currentContext()
	try {
		if (queue[0] !== queued && (await waitUntilFirst(call, queue, queued))) return undefined
		return await body(queued)
	} finally {
		leaveQueue(lockName, queue, queued)
	}
}

module.exports = {
	markHolding,
	onTimeoutOrAbort,
	refuseSync,
	runQueued,
	takeForBatch,
}
