'use strict'

// Updates of one registry that wait in one thread run as a batch: one lock, one updater after the
// other, one commit. Each updater gets its predecessor's result as an object of its own. An updater
// that fails fails alone. All are settled when the commit is done.

/** @import { LockHandle } from '../addon/addon.d.ts' */
/** @import { LockCall } from '../options.js' */
/** @import { Settlements } from './batch-member.js' */
/** @import { Opened } from './pending-content.js' */
/** @import { QueuedCall } from './thread-state.js' */

/**
 * What an update writes: what its updater returns, or a text.
 *
 * @template T
 * @typedef {{ updater(given: T): T | Promise<T>, text?: undefined }
 *   | { updater?: undefined, text: string }} Update
 */

const { monotonicMs } = require('../clock.js')
const { runIn } = require('../context.js')
const { isThenable } = require('../errors.js')
const { unlessAborted, updateAborted } = require('./abort-signal.js')
const { BatchMember, settleAll, submit } = require('./batch-member.js')
const { letLoopTurn } = require('./event-loop.js')
const { acquire, mayRunAgain, release } = require('./held-lock.js')
const { PendingContent } = require('./pending-content.js')
const { markHolding, onTimeoutOrAbort, takeForBatch } = require('./queue.js')
const { runInScope } = require('./scopes.js')

/** After this long a batch takes no more members: other processes wait for the lock, too. */
const BATCH_TIME_MS = 20

/**
 * An update in a batch.
 *
 * @template T
 * @extends {BatchMember<T>}
 */
class UpdateMember extends BatchMember {
	/**
	 * @param {LockCall<T>} call
	 * @param {Update<T>} update
	 */
	constructor(call, update) {
		super(call)
		this.update = update
		this.stopWatching = () => {}
	}

	/**
	 * Has the member give up when its timeout is over or its caller aborts it, while it waits for another hold.
	 * Without this it would wait as long as the member before it does.
	 *
	 * @param {UpdateMember<unknown>[]} waiting The members that wait for that hold: it leaves them.
	 */
	watch(waiting) {
		this.stopWatching()
		const { call } = this
		/** @param {Error} error */
		const giveUp = (error) => {
			this.stopWatching()
			waiting.splice(waiting.indexOf(this), 1)
			this.reject(error)
		}
		this.stopWatching = onTimeoutOrAbort(call, giveUp)
		// While it ran.
		if (call.signal?.aborted) giveUp(updateAborted(call.path, call.signal))
	}
}

/** @typedef {UpdateMember<unknown>} Member */

/** A batch under its lock. */
class Batch {
	/**
	 * @param {LockCall<unknown>} call
	 * @param {LockHandle} lock
	 * @param {Member[]} members
	 */
	constructor({ path, lockName, newFileMode }, lock, members) {
		this.path = path
		this.newFileMode = newFileMode
		this.lockName = lockName
		this.members = members
		this.pending = new PendingContent(lock)
		this.startedAt = monotonicMs()
		/**
		 * The members that have run and wait for the commit, and what each resolves with.
		 *
		 * @type {{ member: Member, value: unknown }[]}
		 */
		this.uncommitted = []
		/**
		 * The members that have to run again, because the lock was lost.
		 *
		 * @type {Member[]}
		 */
		this.toRunAgain = []
		/** @type {Settlements} */
		this.settlements = []
	}

	/** The member that runs next: one that is here already, or one that waits in the queue. */
	next() {
		const member = this.members.shift()
		if (member) {
			member.stopWatching()
			return member
		}
		const isOver = monotonicMs() - this.startedAt >= BATCH_TIME_MS
		// Documents may share a lock file; a batch is of one file. That file may be new: with the mode of the call that has
		// the lock, others could read what another call keeps private.
		const fits = (/** @type {Member} */ { call }) =>
			call.path === this.path && call.newFileMode === this.newFileMode
		return isOver ? undefined : takeForBatch(this.lockName, UpdateMember, fits)
	}

	/**
	 * Begins a commit; returns a promise only if another thread goes on with it. That thread also releases the
	 * lock, if told to; otherwise it is released here, before any other code runs: a synchronous call of that code
	 * would wait on this thread for this lock, until its timeout is over.
	 *
	 * @param {LockCall<unknown>[]} calls
	 * @param {{ release: boolean }} how
	 */
	beginCommit(calls, how) {
		const { lock } = this.pending
		let committing
		try {
			committing = this.pending.commit(calls, how)
			return committing
		} finally {
			if (how.release && !committing) release(lock)
		}
	}

	/**
	 * Commits; returns whether the pending content is in the file.
	 *
	 * @param {{ release: boolean }} how
	 */
	async commit(how) {
		const { uncommitted } = this
		this.uncommitted = []
		try {
			const calls = uncommitted.map(({ member }) => member.call)
			const committing = this.beginCommit(calls, how)
			// Each needless await costs as much as some of the system calls.
			if (committing) await committing
			for (const { member, value } of uncommitted) {
				this.settlements.push(() => member.resolve(value))
			}
			return true
		} catch (error) {
			for (const { member } of uncommitted) {
				if (mayRunAgain(member.call, error)) this.toRunAgain.push(member)
				else this.settlements.push(() => member.reject(error))
			}
			return false
		}
	}

	/**
	 * Runs one member; returns whether others may follow, or a promise of that.
	 *
	 * @param {Member} member
	 * @returns {boolean | Promise<boolean>}
	 */
	run(member) {
		const { call, update } = member
		if (call.signal?.aborted) throw updateAborted(call.path, call.signal)
		return update.text === undefined
			? this.runUpdater(member, this.pending.open(call), update.updater)
			: this.replace(member, this.pending.look(call).corrupt, update.text)
	}

	/**
	 * Whether a member has to wait for the next batch, and makes it wait: what the codec of another
	 * member has just made of the file is corrupt for it, and can be kept once it is in the file. In
	 * the next hold: what is kept is named after its hold, so that one hold can keep only once.
	 *
	 * @param {Member} member
	 * @param {string | undefined} corrupt
	 */
	postpones(member, corrupt) {
		if (corrupt === undefined || this.pending.isCommitted) return false
		this.members.unshift(member)
		return true
	}

	/**
	 * @param {Member} member
	 * @param {string | undefined} corrupt
	 * @param {string} text
	 */
	replace(member, corrupt, text) {
		if (this.postpones(member, corrupt)) return false
		this.pending.set(member.call, text, corrupt)
		this.uncommitted.push({ member, value: undefined })
		return true
	}

	/**
	 * @param {Member} member
	 * @param {Opened} opened
	 * @param {(given: unknown) => unknown} updater
	 */
	runUpdater(member, opened, updater) {
		if (this.postpones(member, opened.corrupt)) return false
		const { result, exit } = runIn(member.call.context, () =>
			runInScope(this.lockName, () => updater(opened.given), this.pending.unwritten(member.call)),
		)
		if (isThenable(result)) return this.settle(member, opened, result, exit)
		exit()
		return this.accept(member, opened, result)
	}

	/**
	 * @param {Member} member
	 * @param {Opened} opened
	 * @param {unknown} value
	 */
	accept(member, opened, value) {
		this.pending.accept(member.call, opened, value)
		this.uncommitted.push({ member, value })
		return true
	}

	/**
	 * Waits for an async updater. No member follows in this batch: the updater may take its time.
	 *
	 * @param {Member} member
	 * @param {Opened} opened
	 * @param {unknown} result
	 * @param {() => void} exit
	 */
	async settle(member, opened, result, exit) {
		const settled = unlessAborted(member.call, Promise.resolve(result)).finally(exit)
		settled.catch(() => {})
		if (await this.commitEarlier()) {
			this.accept(member, opened, await settled)
		}
		// It was given what was never written.
		else this.toRunAgain.push(member)
		return false
	}

	/** Commits and settles the members before an async updater, which may take its time. */
	async commitEarlier() {
		const isCommitted = await this.commit({ release: false })
		settleAll(this.settlements.splice(0))
		return isCommitted
	}

	/**
	 * Runs all members. Those that have to run again are members once more.
	 *
	 * @param {QueuedCall} queued
	 */
	async runAll(queued) {
		let mayGoOn = true
		for (let member = this.next(); member; member = mayGoOn ? this.next() : undefined) {
			const running = member
			try {
				const outcome = this.run(running)
				mayGoOn = typeof outcome === 'boolean' ? outcome : await outcome
			} catch (error) {
				this.settlements.push(() => running.reject(error))
			}
		}
		queued.finishesOffThread = true
		await this.commit({ release: true })
		this.members.unshift(...this.toRunAgain)
	}
}

/**
 * Runs a member and those that follow it in the queue, in as many batches as that takes.
 *
 * @param {Member} first
 * @param {QueuedCall} queued
 */
const runBatches = async (first, queued) => {
	/** @type {Settlements} */
	const settlements = []
	const members = [first]
	for (let next = members[0], round = 0; next; next = members[0], round++) {
		queued.finishesOffThread = false
		// Between two holds others may run: other processes, and what may abort the rest.
		if (round > 0) await letLoopTurn()
		next.stopWatching()
		for (const member of members.slice(1)) member.watch(members)
		let lock
		try {
			// This watches the timeout and the caller of the first one.
			lock = await acquire(next.call)
		} catch (error) {
			// At once: the others may have to wait much longer.
			members.shift()
			next.reject(error)
			continue
		}
		markHolding(queued, true)
		try {
			const batch = new Batch(first.call, lock, members)
			await batch.runAll(queued)
			settlements.push(...batch.settlements)
		} catch (error) {
			// No call can update the file.
			const all = members.splice(0)
			for (const member of all) member.stopWatching()
			settlements.push(...all.map((member) => () => member.reject(error)))
		} finally {
			release(lock)
			markHolding(queued, false)
		}
	}
	return settlements
}

/**
 * Queues one update, which runs alone or in a batch.
 *
 * @template T
 * @param {LockCall<T>} call
 * @param {Update<T>} update
 */
const submitUpdate = (call, update) => submit(new UpdateMember(call, update), runBatches)

module.exports = { submitUpdate }
