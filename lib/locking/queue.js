'use strict'

// The calls on one registry within this thread form a queue: they run one after the other, in order
// of arrival. A call that would wait for itself is refused.

const { AsyncLocalStorage } = require('node:async_hooks')
const { onAbort } = require('./abort-signal.js')
const { RegistryError, aborted, holderOf } = require('../errors.js')
const native = require('../addon/load.js')
const { LONGEST_TIMER_MS, remainingMs } = require('../options.js')

/** Shared by all copies of this package in the thread, so that they see each other's calls. */
const shared = Symbol.for('argus-registry.queues.1')
globalThis[shared] ??= {
	/** The updates that the running code is inside of: a chain of `{ path, active, outer }`. */
	scopes: new AsyncLocalStorage(),
	/** The queued calls of each registry: the first one runs, the others wait. */
	queues: new Map(),
	/** The registries that synchronous updates hold, in whatever async context their code runs. */
	heldSync: new Set(),
}
const { scopes, queues, heldSync } = globalThis[shared]

const reEntrant = (path, what) =>
	new RegistryError('RE_ENTRANT', `${path} is being updated by this thread: ${what}`, { path })

const refuseNested = (path) => {
	for (let scope = scopes.getStore(); scope; scope = scope.outer) {
		// A timer that was started inside is no longer inside when the update is over.
		if (scope.active && scope.path === path) {
			throw reEntrant(
				path,
				'change the value that the updater was given, or write by the lock that is held, instead',
			)
		}
	}
}

/** Runs the caller's code in the scope of an update of the registry, which lasts until `exit`. */
const runInScope = (path, body) => {
	const scope = { path, active: true, outer: scopes.getStore() }
	const exit = () => {
		scope.active = false
	}
	try {
		return { result: scopes.run(scope, body), exit }
	} catch (error) {
		exit()
		throw error
	}
}

/** Like `runInScope`, for code that is over when it returns. */
const runInSyncScope = (path, body) => {
	heldSync.add(path)
	try {
		const { result, exit } = runInScope(path, body)
		exit()
		return result
	} finally {
		heldSync.delete(path)
	}
}

/** Runs code that does not count as inside of any update, whichever update has started it. */
const runOutsideScopes = (body) => scopes.run(undefined, body)

/** Refuses a synchronous call that would block the thread that an asynchronous call needs to go on. */
const refuseSync = (path) => {
	refuseNested(path)
	if (heldSync.has(path)) throw reEntrant(path, 'a synchronous update is not done')
	const first = queues.get(path)?.[0]
	if (first && !first.finishesOffThread) {
		throw reEntrant(path, 'an asynchronous update is under way; await or abort it first')
	}
}

/** The error of a call whose timeout is over before it is the first of its queue. */
const timedOut = ({ path, timeoutMs }) => {
	const [first] = queues.get(path)
	const holder = first.holdsLock
		? { pid: process.pid, since: first.since, alive: true }
		: native.holderNow(path)
	const why = first.holdsLock
		? 'an earlier update of this thread is not done with it; end that, or wait longer'
		: 'earlier updates of this thread wait for it, too; wait longer, or end its holder'
	const what = `${path} is locked${holder?.pid ? ` by process ${holder.pid}` : ''}`
	const details = { path, holder: holder && holderOf(holder) }
	return timeoutMs === 0
		? new RegistryError('LOCK_BUSY', `${what}: busy; ${why}`, details)
		: new RegistryError(
				'LOCK_TIMEOUT',
				`${what}, still after ${timeoutMs / 1000} s; ${why}`,
				details,
			)
}

/**
 * Calls `giveUp` with an error when the call's timeout is over or its caller aborts it. Returns how
 * to stop watching.
 */
const onTimeoutOrAbort = (call, giveUp) => {
	const { path, signal } = call
	const stopListening = onAbort(signal, () => giveUp(aborted(path, signal)))
	const left = remainingMs(call)
	const timer =
		left <= LONGEST_TIMER_MS ? setTimeout(() => giveUp(timedOut(call)), left) : undefined
	return () => {
		clearTimeout(timer)
		stopListening()
	}
}

/**
 * Waits until the call is the first of its queue (resolves with `false`) or runs in the batch of the
 * first one (`true`). A call that gives up leaves the queue.
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
			leaveQueue(call.path, queue, queued)
			reject(error)
		})
	})

/** Takes a call out of its queue. If it was the first, the next one begins. */
const leaveQueue = (path, queue, queued) => {
	const at = queue.indexOf(queued)
	if (at < 0) return
	queue.splice(at, 1)
	if (at > 0) return
	if (queue.length > 0) queue[0].begin(false)
	else queues.delete(path)
}

/** Notes whether the call holds the lock now. */
const markHolding = (queued, holdsLock) => {
	queued.holdsLock = holdsLock
	queued.since = holdsLock ? Date.now() : undefined
}

/**
 * Takes the next call out of the queue for the batch of the first one, if it may be batched with it.
 * Settling it is then left to that batch.
 */
const takeForBatch = (path, kind, fits = () => true) => {
	const queue = queues.get(path)
	const queued = queue?.[1]
	if (queued?.member?.kind !== kind || !fits(queued.member)) return undefined
	queue.splice(1, 1)
	queued.begin(true)
	return queued.member
}

/**
 * Runs `body` when all earlier calls on the registry are done. `body` gets the queued call, to note
 * when the rest of it needs this thread no more. A call with a `member` may run in the batch of an
 * earlier call instead.
 */
const runQueued = async (call, body, member) => {
	const { path, signal } = call
	refuseNested(path)
	if (signal?.aborted) throw aborted(path, signal)
	const queue = queues.get(path) ?? []
	const queued = { member, holdsLock: false, finishesOffThread: false, begin: undefined }
	if (queue.length > 0 && call.timeoutMs === 0) throw timedOut(call)
	queue.push(queued)
	queues.set(path, queue)
	try {
		if (queue[0] !== queued && (await waitUntilFirst(call, queue, queued))) return undefined
		return await body(queued)
	} finally {
		leaveQueue(path, queue, queued)
	}
}

module.exports = {
	markHolding,
	onTimeoutOrAbort,
	refuseSync,
	runInScope,
	runInSyncScope,
	runOutsideScopes,
	runQueued,
	takeForBatch,
}
