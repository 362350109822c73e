'use strict'

// The entry operations. The addon does each as a whole, with the lock; those of one registry that
// wait in one thread are done together.

/** @import { EntryOptions, PrunedWatcher, WatcherRecord, WatcherRef } from '../../index.js' */
/** @import { EntryOperation } from '../addon/addon.d.ts' */
/** @import { LockCall } from '../options.js' */
/** @import { Settlements } from '../locking/batch-member.js' */
/** @import { QueuedCall } from '../locking/thread-state.js' */

/**
 * An operation as the addon reads it, from JSON. JSON carries every string and number of
 * JavaScript's.
 *
 * @typedef {{ announce: WatcherRecord }
 *   | { claim: { watcher: WatcherRecord, suffix: boolean, liveness: boolean, ttlMs: number } }
 *   | { heartbeat: RequestedEntry }
 *   | { remove: RequestedEntry }
 *   | { prune: { ttlMs: number, liveness: boolean } }} RequestedOperation
 */

/**
 * The entry that an operation is about.
 *
 * @typedef {{ id: string }
 *   | { claim: { id: string, pid: number, startedAt: number } }
 *   | { record: WatcherRecord }} RequestedEntry
 */

const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { checkSize } = require('../codec/content.js')
const { objectionToJson } = require('../codec/json-loss.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { DEFAULT_TTL_MS } = require('../codec/registry-schema.js')
const {
	RegistryError,
	messageOf,
	propertyOf,
	registryError,
	shown,
	unwrap,
} = require('../errors.js')
const { updateAborted } = require('../locking/abort-signal.js')
const { BatchMember, submit } = require('../locking/batch-member.js')
const { isTurnDue, letLoopTurn } = require('../locking/event-loop.js')
const { mayRunAgain, reportLost, reportReplaced } = require('../locking/held-lock.js')
const { onTimeoutOrAbort, takeForBatch } = require('../locking/queue.js')
const {
	UPDATE_OPTIONS,
	flag,
	instant,
	invalidArgument,
	acquireRequest,
	milliseconds,
	prepare,
	wrongArgument,
} = require('../options.js')

/** The number of operations that are done under one lock: other processes wait for it, too. */
const BATCH_SIZE = 500

/**
 * An operation in a batch. Its result is JSON that the addon has written, of a type that its kind
 * of operation determines.
 *
 * @extends {BatchMember<unknown>}
 */
class OperationMember extends BatchMember {
	/**
	 * @param {LockCall<unknown>} call
	 * @param {EntryOperation} operation
	 */
	constructor(call, operation) {
		super(call)
		this.operation = operation
	}
}

/**
 * Has a member give up when its timeout is over or its caller aborts it. Returns how to stop that.
 *
 * @param {OperationMember} member
 * @param {number} index
 */
const watchTimeoutAndAbort = (member, index) => {
	const { call, operation } = member
	// The addon watches the timeout of the first one, and knows more about the holder of the lock.
	const watched = index === 0 ? { ...call, timeoutMs: Number.POSITIVE_INFINITY } : call
	return onTimeoutOrAbort(watched, (error) => {
		// An operation that has begun can't be taken back: its result is the answer.
		if (operation.cancel()) member.reject(error)
	})
}

/**
 * Does operations together. Returns those that are still to be done.
 *
 * @param {OperationMember} first
 * @param {OperationMember[]} members Of which it is the first.
 * @param {Settlements} settlements
 */
const apply = async (first, members, settlements) => {
	const { call } = first
	const { onCorrupt } = call
	const operations = members.map(({ operation }) => operation)
	const durable = members.some((member) => member.call.durable)
	while (isTurnDue()) await letLoopTurn()
	try {
		const applied = native.applyEntries(
			acquireRequest(call),
			operations,
			durable,
			onCorrupt === 'fail',
		)
		const { outcomes, changed, kept, reason, lockLost } = unwrap(await resultOf(applied))
		if (reason !== undefined) reportReplaced(call, reason, kept)
		if (lockLost) {
			// The others have written nothing that could be lost.
			const writers = members.filter((_, index) => changed[index])
			reportLost(writers.map((member) => member.call))
		}
		for (const [index, member] of members.entries()) {
			const outcome = outcomes[index]
			// An operation that was cancelled has none, and is rejected already.
			if (typeof outcome === 'string') {
				settlements.push(() => member.resolve(JSON.parse(outcome)))
			}
		}
		return []
	} catch (error) {
		return members.filter((member, index) => !isOver(member, index, error))
	}
}

/**
 * What a failure means for one of the operations that were to be done together; returns whether it
 * ends that operation.
 *
 * @param {OperationMember} member
 * @param {number} index
 * @param {unknown} error
 */
const isOver = (member, index, error) => {
	const { call, operation } = member
	if (error instanceof RegistryError && error.code === 'LOCK_LOST') {
		// Nothing was written. A caller that has aborted meanwhile could not be answered, and is now.
		if (!call.signal?.aborted && mayRunAgain(call, error)) return false
		operation.cancel()
		member.reject(call.signal?.aborted ? updateAborted(call.path, call.signal) : error)
		return true
	}
	// The wait was the first one's. A failure after the wait is one of all that had begun.
	if (index > 0 && !operation.hasBegun()) return false
	member.reject(error)
	return true
}

/**
 * Does operations that wait together, as often as it takes.
 *
 * @param {OperationMember[]} members
 */
const applyAll = async (members) => {
	const watches = members.map(watchTimeoutAndAbort)
	/** @type {Settlements} */
	const settlements = []
	try {
		let left = members
		for (let first = left[0]; first; first = left[0]) left = await apply(first, left, settlements)
	} finally {
		for (const stop of watches) stop()
	}
	return settlements
}

/**
 * Does an operation and those behind it in the queue.
 *
 * @param {OperationMember} first
 * @param {QueuedCall} queued
 */
const runBatch = (first, queued) => {
	queued.finishesOffThread = true
	/**
	 * The first one decides for all when the lockfile of an older argus is stale, and what to do about corrupt
	 * content.
	 *
	 * @param {OperationMember} member
	 */
	const fits = ({ call: { staleMs, onCorrupt } }) =>
		staleMs === first.call.staleMs && onCorrupt === first.call.onCorrupt
	const members = [first]
	while (members.length < BATCH_SIZE) {
		const member = takeForBatch(first.call.lockName, OperationMember, fits)
		if (!member) break
		members.push(member)
	}
	return applyAll(members)
}

/**
 * Does an operation alone.
 *
 * @param {OperationMember} member
 * @param {QueuedCall} queued
 */
const runAlone = (member, queued) => {
	queued.finishesOffThread = true
	return applyAll([member])
}

/** The whole record that an operation has, if it has one. @param {RequestedOperation} operation */
const watcherOf = (operation) => {
	if ('announce' in operation) return operation.announce
	if ('claim' in operation) return operation.claim.watcher
	return 'heartbeat' in operation && 'record' in operation.heartbeat
		? operation.heartbeat.record
		: undefined
}

/**
 * @param {string} path
 * @param {RequestedOperation} operation
 * @param {number | undefined} now
 */
const serializeOperation = (path, operation, now) => {
	const what = 'the record of a watcher must be what JSON holds'
	/** @type {string} */
	let text
	try {
		text = JSON.stringify({ operation, now })
	} catch (error) {
		throw invalidArgument(path, `${what}, and is not: ${messageOf(error)}; correct it`, error)
	}
	const loss = objectionToJson(watcherOf(operation))
	if (loss !== undefined) throw invalidArgument(path, `${what}, and ${loss}`)
	return text
}

/**
 * @param {LockCall<unknown>} call
 * @param {RequestedOperation} operation
 * @param {EntryOptions | undefined} options
 */
const memberOf = (call, operation, options) => {
	const now = instant(call.path, 'now', options?.now)
	const request = serializeOperation(call.path, operation, now)
	checkSize(call.path, request)
	return new OperationMember(call, unwrap(native.entryOperation(call.path, request)))
}

/**
 * Queues an operation, which is done alone or in a batch.
 *
 * @param {LockCall<unknown>} call
 * @param {RequestedOperation} operation
 * @param {EntryOptions | undefined} options
 */
const submitOperation = (call, operation, options) =>
	submit(memberOf(call, operation, options), runBatch)

/** @param {string} path @param {WatcherRecord} watcher */
const checkWatcher = (path, watcher) => {
	if (typeof watcher === 'object' && watcher !== null) return watcher
	throw wrongArgument(path, 'watcher', watcher, 'a record')
}

/**
 * The entry that is meant by an id, a claim, or a whole record.
 *
 * @param {string} path
 * @param {WatcherRef} who
 * @returns {RequestedEntry}
 */
const requestedEntry = (path, who) => {
	if (typeof who === 'string') return { id: who }
	if (Object(who) === who && 'host' in who) return { record: who }
	const [id, pid, startedAt] = ['id', 'pid', 'startedAt'].map((name) => propertyOf(who, name))
	const isNumber = (/** @type {unknown} */ value) => Number(value) >= 0
	if (typeof id !== 'string' || !isNumber(pid) || !isNumber(startedAt)) {
		const ways = 'by id, by claim (id, pid and startedAt) or by record'
		throw invalidArgument(path, `entry is ${shown(who)}; name the entry ${ways}`)
	}
	return { claim: { id, pid: who.pid, startedAt: who.startedAt } }
}

const ENTRY_OPTIONS = [...UPDATE_OPTIONS, 'now']

/**
 * @param {string | URL} path
 * @param {EntryOptions | undefined} options
 * @param {string[]} more The names of the options that only this operation has.
 */
const prepareEntry = (path, options, ...more) =>
	prepare(path, registryCodec, options, [...ENTRY_OPTIONS, ...more])

/** @type {typeof import('../../index.js').announceWatcher} */
const announceWatcher = async (path, watcher, options) => {
	const call = prepareEntry(path, options)
	await submitOperation(call, { announce: checkWatcher(call.path, watcher) }, options)
}

/** @type {typeof import('../../index.js').claimWatcher} */
const claimWatcher = async (path, record, options) => {
	const call = prepareEntry(path, options, 'suffix', 'liveness', 'ttlMs')
	const suffix = flag(call.path, 'suffix', options?.suffix, true)
	const liveness = flag(call.path, 'liveness', options?.liveness, true)
	const ttlMs = milliseconds(call.path, 'ttlMs', options?.ttlMs, DEFAULT_TTL_MS)
	const watcher = checkWatcher(call.path, record)
	const operation = { claim: { watcher, suffix, liveness, ttlMs } }
	/** The record as it was entered; or a list with the process that has the id, if it names one. */
	const result = /** @type {WatcherRecord | [number?]} */ (
		await submitOperation(call, operation, options)
	)
	if (Array.isArray(result)) {
		throw registryError(native.idTaken(call.path, record.id, result[0]))
	}
	const { id, pid, startedAt } = result
	return { watcher: result, claim: { id, pid, startedAt } }
}

/** @type {typeof import('../../index.js').heartbeatWatcher} */
const heartbeatWatcher = async (path, who, options) => {
	const call = prepareEntry(path, options)
	const operation = { heartbeat: requestedEntry(call.path, who) }
	return /** @type {boolean} */ (await submitOperation(call, operation, options))
}

/** @type {typeof import('../../index.js').removeWatcher} */
const removeWatcher = async (path, who, options) => {
	const call = prepareEntry(path, options)
	const operation = { remove: requestedEntry(call.path, who) }
	return /** @type {boolean} */ (await submitOperation(call, operation, options))
}

/** @type {typeof import('../../index.js').pruneStaleWatchers} */
const pruneStaleWatchers = async (path, options) => {
	const call = prepareEntry(path, options, 'ttlMs', 'liveness')
	const ttlMs = milliseconds(call.path, 'ttlMs', options?.ttlMs, DEFAULT_TTL_MS)
	const liveness = flag(call.path, 'liveness', options?.liveness, false)
	const member = memberOf(call, { prune: { ttlMs, liveness } }, options)
	// Alone: with nothing to remove it needs no write access, and others would.
	return /** @type {PrunedWatcher[]} */ (await submit(member, runAlone, { alone: true }))
}

module.exports = {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
}
