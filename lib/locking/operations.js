'use strict'

// Entry operations that wait in one thread. Those of one registry file are done together: the addon does a
// batch as a whole, with the lock. Those of a folder, and those in etcd, are done one after the other, since each
// changes one entry by itself.

/** @import { EntryOperation } from '../addon/addon.d.ts' */
/** @import { LockCall } from '../options.js' */
/** @import { Settlements } from './batch-member.js' */
/** @import { QueuedCall } from './thread-state.js' */

const { resultOf } = require('../addon/background.js')
const { etcdAddon } = require('../addon/etcd.js')
const native = require('../addon/load.js')
const { RegistryError, propertyOf, unwrap } = require('../errors.js')
const { acquireRequest } = require('../options.js')
const { onAbort, updateAborted } = require('./abort-signal.js')
const { BatchMember, submit } = require('./batch-member.js')
const { isTurnDue, letLoopTurn } = require('./event-loop.js')
const { mayRunAgain, reportLost, reportReplaced } = require('./held-lock.js')
const { onTimeoutOrAbort, takeForBatch } = require('./queue.js')

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

/**
 * Does an operation on a folder, or in etcd: each changes one entry, by itself.
 *
 * @param {OperationMember} member
 * @param {QueuedCall} queued
 * @returns {Promise<Settlements>}
 */
const runByItself = async (member, queued) => {
	const { call, operation } = member
	const { path, signal } = call
	queued.finishesOffThread = true
	// The addon watches the timeout. Whether the operation was done before it was aborted, the addon says.
	const stopListening = onAbort(signal, () => operation.cancel())
	try {
		const request = acquireRequest(call)
		const applied = call.folder
			? native.applyToFolder(request, operation, call.durable)
			: etcdAddon(call.path).applyEntry(request, operation)
		const outcome = unwrap(await resultOf(applied))
		return [() => member.resolve(JSON.parse(outcome))]
	} catch (error) {
		throw signal?.aborted && propertyOf(error, 'code') === 'ABORTED'
			? updateAborted(path, signal)
			: error
	} finally {
		stopListening()
	}
}

/**
 * Queues an operation. On a file it is done alone or in a batch.
 *
 * @param {OperationMember} member
 * @param {{ alone?: boolean }} [how]
 */
const submitOperation = (member, { alone = false } = {}) => {
	const onFile = alone ? runAlone : runBatch
	const { folder, addon } = member.call
	return submit(member, folder || addon !== native ? runByItself : onFile, { alone })
}

module.exports = { OperationMember, submitOperation }
