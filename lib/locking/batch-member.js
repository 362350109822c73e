'use strict'

// What calls that run in batches have in common: a call that waits in the queue of its registry as
// the member of a batch, and is settled when the batch is done.

/** @import { LockCall } from '../options.js' */
/** @import { QueuedCall } from './thread-state.js' */

const { runQueued } = require('./queue.js')

/**
 * Functions that settle the promises of members. They are called when the call that ran the batch
 * has left its queue: a caller whose promise has settled may count on a free lock.
 *
 * @typedef {(() => void)[]} Settlements
 */

/** @param {Settlements} settlements */
const settleAll = (settlements) => {
	for (const settle of settlements) settle()
}

/**
 * A call that may run in a batch, and its promise.
 *
 * @template T
 */
class BatchMember {
	/** @type {{ resolve(value: T): void, reject(error: unknown): void } | undefined} */
	#settle

	/** @param {LockCall<unknown>} call */
	constructor(call) {
		this.call = call
		/** @type {Promise<T>} */
		this.promise = new Promise((resolve, reject) => {
			this.#settle = { resolve, reject }
		})
	}

	/** @param {T} value */
	resolve(value) {
		this.#settle?.resolve(value)
	}

	/** @param {unknown} error */
	reject(error) {
		this.#settle?.reject(error)
	}
}

/**
 * Queues a member. `runBatch` is called with it when it is the first of its queue; an earlier call
 * may take it into its own batch before, unless it is to run `alone`.
 *
 * @template T
 * @template {BatchMember<T>} M
 * @param {M} member
 * @param {(member: M, queued: QueuedCall) => Promise<Settlements>} runBatch
 * @param {{ alone?: boolean }} [how]
 * @returns {M['promise']}
 */
const submit = (member, runBatch, { alone = false } = {}) => {
	const run = (/** @type {QueuedCall} */ queued) => runBatch(member, queued)
	runQueued(member.call, run, alone ? undefined : member).then(
		(settlements) => settleAll(settlements ?? []),
		(error) => member.reject(error),
	)
	return member.promise
}

module.exports = { BatchMember, settleAll, submit }
