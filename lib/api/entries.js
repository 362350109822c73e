'use strict'

// The entry operations. The addon does them, lock and all, without coming back in between; those
// of one registry that wait together are done together.

const { outcomeOf } = require('../addon/background.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { DEFAULT_TTL_MS } = require('../codec/registry-schema.js')
const { RegistryError, aborted, messageOf, unwrap } = require('../errors.js')
const { mayRunAgain, reportReplaced } = require('../locking/held-lock.js')
const { isDue, letLoopTurn } = require('../locking/event-loop.js')
const native = require('../addon/load.js')
const {
	invalidArgument,
	elapsedMs,
	flag,
	instant,
	milliseconds,
	prepare,
	refuseCodec,
} = require('../options.js')
const { onTimeoutOrAbort, runQueued, takeForBatch } = require('../locking/queue.js')

/** Which calls may be batched: another copy of this package has an addon, and objects, of its own. */
const KIND = Symbol('operation')

/** So many are done under one lock: other processes wait for it, too. */
const BATCH_LIMIT = 500

/** Has a member give up when its timeout is over or its caller aborts it, unless stopped. */
const watchTimeoutAndAbort = ({ call, operation, reject }, index) => {
	// The first one's time is the addon's to watch, which says more of who holds the lock.
	const watched = index === 0 ? { ...call, timeoutMs: Number.POSITIVE_INFINITY } : call
	return onTimeoutOrAbort(watched, (error) => {
		// One that has begun can't be taken back: what came of it is the answer.
		if (operation.cancel()) reject(error)
	})
}

/** Does operations together. Returns those that are still to be done. */
const apply = async (members, settlements) => {
	const [{ call }] = members
	const operations = members.map(({ operation }) => operation)
	const durable = members.some((member) => member.call.durable)
	const { path, timeoutMs, staleMs } = call
	while (isDue()) await letLoopTurn()
	const elapsed = elapsedMs(call)
	try {
		const { outcomes, kept, reason } = unwrap(
			await outcomeOf(native.applyEntries(path, operations, timeoutMs, elapsed, staleMs, durable)),
		)
		if (reason !== undefined) {
			reportReplaced(call, { code: 'CORRUPT', path, noun: registryCodec.noun, reason }, kept)
		}
		for (const [index, { resolve }] of members.entries()) {
			// Who was cancelled knows already.
			if (outcomes[index] !== null) settlements.push(() => resolve(JSON.parse(outcomes[index])))
		}
		return []
	} catch (error) {
		return members.filter((member, index) => !isOver(member, index, error))
	}
}

/** What a failure means for one of those who were to be done together; says whether it ends it. */
const isOver = ({ call, operation, reject }, index, error) => {
	if (error.code === 'LOCK_LOST') {
		// Nothing was written. Who has left meanwhile could not be let go, and is now.
		if (!call.signal?.aborted && mayRunAgain(call, error)) return false
		operation.cancel()
		reject(call.signal?.aborted ? aborted(call.path, call.signal) : error)
		return true
	}
	// It was the first one's wait. If it came to more than waiting, it is everybody's failure.
	if (index > 0 && !operation.hasBegun()) return false
	reject(error)
	return true
}

/**
 * Does an operation and those behind it in the queue; returns the settlements for when the call has
 * left its queue.
 */
const runBatch = async (first, queued) => {
	queued.finishesOffThread = true
	/** The first one decides for all when an old argus's lockfile is stale. */
	const isAsPatient = ({ call }) => call.staleMs === first.call.staleMs
	const members = [first]
	while (first.mayBeBatched && members.length < BATCH_LIMIT) {
		const member = takeForBatch(first.call.path, KIND, isAsPatient)
		if (!member) break
		members.push(member)
	}
	const watches = members.map(watchTimeoutAndAbort)
	const settlements = []
	try {
		for (let left = members; left.length > 0; ) left = await apply(left, settlements)
	} finally {
		for (const stop of watches) stop()
	}
	return settlements
}

/** An operation as the addon reads it. JSON carries every string and number of JavaScript's. */
const serializeOperation = (path, what, now) => {
	try {
		return JSON.stringify({ what, now })
	} catch (error) {
		throw invalidArgument(path, `a watcher must be a value that JSON can hold: ${messageOf(error)}`)
	}
}

const operate = (call, what, options, mayBeBatched = true) => {
	const { path } = call
	const request = serializeOperation(path, what, instant(path, 'now', options?.now))
	const operation = unwrap(native.entryOperation(path, request))
	const member = { kind: KIND, call, operation, mayBeBatched }
	const promise = new Promise((resolve, reject) => Object.assign(member, { resolve, reject }))
	// Settled when the call has left its queue: a caller whose promise has settled may count on a free
	// lock.
	runQueued(call, (queued) => runBatch(member, queued), mayBeBatched ? member : undefined).then(
		(settlements) => {
			for (const settle of settlements ?? []) settle()
		},
		member.reject,
	)
	return promise
}

const checkWatcher = (path, watcher) => {
	if (typeof watcher !== 'object' || watcher === null)
		throw invalidArgument(path, 'a watcher must be an object')
	return watcher
}

/** Whose entry is meant: an id, a claim, or a whole record. */
const watcherRef = (path, who) => {
	if (typeof who === 'string') return { id: who }
	const { id, pid, startedAt } = who ?? {}
	if (Object(who) === who && 'host' in who) return { record: who }
	if (typeof id !== 'string' || !(pid >= 0) || !(startedAt >= 0)) {
		throw invalidArgument(
			path,
			'whose entry is meant must be said by id, by claim (id, pid and startedAt) or by record',
		)
	}
	return { claim: { id, pid, startedAt } }
}

const idTaken = (path, id, pid) => {
	const holder = pid === undefined ? '' : ` (process ${pid})`
	const message = `the id '${id}' is another watcher's in ${path}${holder}; end that watcher, or choose another id`
	return new RegistryError('ID_TAKEN', message, { path })
}

/** Entries are of registries only. */
const prepareEntry = (path, options) => {
	refuseCodec(path, options)
	return prepare(path, options)
}

const announceWatcher = async (path, watcher, options) => {
	const call = prepareEntry(path, options)
	await operate(call, { announce: checkWatcher(call.path, watcher) }, options)
}

const claimWatcher = async (path, record, options) => {
	const call = prepareEntry(path, options)
	const suffix = flag(call.path, 'suffix', options?.suffix, true)
	const liveness = flag(call.path, 'liveness', options?.liveness, true)
	const what = { claim: { watcher: checkWatcher(call.path, record), suffix, liveness } }
	const watcher = await operate(call, what, options)
	// In its place, the process that has the id.
	if (Array.isArray(watcher)) throw idTaken(call.path, record.id, watcher[0])
	const { id, pid, startedAt } = watcher
	return { watcher, claim: { id, pid, startedAt } }
}

const heartbeatWatcher = async (path, who, options) => {
	const call = prepareEntry(path, options)
	return operate(call, { heartbeat: watcherRef(call.path, who) }, options)
}

const removeWatcher = async (path, who, options) => {
	const call = prepareEntry(path, options)
	return operate(call, { remove: watcherRef(call.path, who) }, options)
}

const pruneStaleWatchers = async (path, options) => {
	const call = prepareEntry(path, options)
	const ttlMs = milliseconds(call.path, 'ttlMs', options?.ttlMs, DEFAULT_TTL_MS)
	const liveness = flag(call.path, 'liveness', options?.liveness, false)
	// Alone: with nothing to remove it needs no write access, and others would.
	return operate(call, { prune: { ttlMs, liveness } }, options, false)
}

module.exports = {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
}
