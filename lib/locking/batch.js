'use strict'

// Updates of one registry that wait in one thread run as a batch: one lock, one updater after the
// other, one commit. Each updater gets its predecessor's result as an object of its own. An updater
// that fails fails alone. All are settled when the commit is done.

const { look, open } = require('../codec/content.js')
const { aborted } = require('../errors.js')
const {
	acquire,
	commit,
	contentOf,
	mayRunAgain,
	release,
	unlessAborted,
} = require('./held-lock.js')
const { letLoopTurn } = require('./event-loop.js')
const { markHolding, runInScope, runQueued, takeForBatch } = require('./queue.js')

/** After this long a batch takes no more members: other processes wait for the lock, too. */
const BATCH_MS = 20

/** Which calls may be batched: none of another copy of this package, which may be newer. */
const KIND = Symbol('update')

const isThenable = (value) => typeof value?.then === 'function'

const settleAll = (settlements) => {
	for (const settle of settlements) settle()
}

/** The file's content as the next commit will write it. */
class PendingContent {
	constructor(hold) {
		this.hold = hold
		/** The text, and the codec that has printed it if an update of this batch did. */
		this.content = contentOf(hold)
		/** The calls that changed it since the last commit, and what each found corrupt. */
		this.changes = []
	}

	get isCommitted() {
		return this.changes.length === 0
	}

	/** What a call finds that replaces the content unread. */
	look(call) {
		return this.content.codec === call.codec ? {} : look(call, this.content)
	}

	/** What a call finds that updates the content. */
	open(call) {
		return open(call, this.content)
	}

	set(call, text, corrupt) {
		this.content = { exists: true, text, codec: call.codec }
		this.changes.push({ call, corrupt })
	}

	/** Takes what an updater made of the value that it was given. */
	accept(call, { corrupt, isChanged }, next) {
		if (call.signal?.aborted) throw aborted(call.path, call.signal)
		const text = call.codec.encode(call.path, next)
		if (isChanged(next, text)) this.set(call, text, corrupt)
	}

	/** Commits changes, if there are any; returns a promise only if that takes another thread. */
	commit(thenRelease) {
		if (this.isCommitted) return undefined
		const durable = this.changes.some(({ call }) => call.durable)
		// Only the first found what is in the file: the others found what it has made of that.
		const [{ call, corrupt }] = this.changes
		this.changes = []
		return commit(call, this.hold, corrupt, this.content.text, durable, thenRelease)
	}
}

/** A batch under its lock. */
class Batch {
	constructor(path, hold, members) {
		this.path = path
		this.members = members
		this.pending = new PendingContent(hold)
		this.startedAt = performance.now()
		/** The members that have run, and wait for the commit. */
		this.uncommitted = []
		/** The members that have to run again, because the lock was lost. */
		this.toRunAgain = []
		/** Functions that settle the members' promises, to be called when the lock is free. */
		this.settlements = []
	}

	/** The member that runs next: one that is here already, or one that waits in the queue. */
	next() {
		if (this.members.length > 0) return this.members.shift()
		const isOver = performance.now() - this.startedAt >= BATCH_MS
		return isOver ? undefined : takeForBatch(this.path, KIND)
	}

	/** Commits; returns whether the pending content is in the file. */
	async commit(thenRelease) {
		const { uncommitted } = this
		this.uncommitted = []
		try {
			const committing = this.pending.commit(thenRelease)
			// Each needless await costs as much as some of the system calls.
			if (committing) await committing
			for (const member of uncommitted) this.settlements.push(() => member.resolve(member.value))
			return true
		} catch (error) {
			for (const member of uncommitted) {
				if (mayRunAgain(member.call, error)) this.toRunAgain.push(member)
				else this.settlements.push(() => member.reject(error))
			}
			return false
		}
	}

	/** Runs one member; returns whether others may follow, or a promise of that. */
	run(member) {
		const { call, text, updater } = member
		if (call.signal?.aborted) throw aborted(call.path, call.signal)
		const opened = text === undefined ? this.pending.open(call) : this.pending.look(call)
		if (opened.corrupt && !this.pending.isCommitted) {
			// What the codec of another member has just made of it can be kept once it is in the file.
			// In the next hold: what is kept is named after its hold, so that one hold can keep only once.
			this.members.unshift(member)
			return false
		}
		if (text !== undefined) {
			this.pending.set(call, text, opened.corrupt)
			this.uncommitted.push(member)
			return true
		}
		const { result, exit } = runInScope(this.path, () => updater(opened.given))
		if (isThenable(result)) return this.settle(member, opened, result, exit)
		exit()
		return this.accept(member, opened, result)
	}

	accept(member, opened, value) {
		member.value = value
		this.pending.accept(member.call, opened, value)
		this.uncommitted.push(member)
		return true
	}

	/** Waits for an async updater. No member follows in this batch: the updater may take its time. */
	async settle(member, opened, result, exit) {
		const settled = unlessAborted(member.call, Promise.resolve(result)).finally(exit)
		settled.catch(() => {})
		if (await this.commitEarlier()) this.accept(member, opened, await settled)
		// It was given what was never written.
		else this.toRunAgain.push(member)
		return false
	}

	/** Commits and settles the members before an async updater, which may take its time. */
	async commitEarlier() {
		const isCommitted = await this.commit(false)
		settleAll(this.settlements.splice(0))
		return isCommitted
	}

	/** Runs all members; returns those that have to run again. */
	async runAll(queued) {
		let mayGoOn = true
		for (let member = this.next(); member; member = mayGoOn ? this.next() : undefined) {
			try {
				const outcome = this.run(member)
				mayGoOn = typeof outcome === 'boolean' ? outcome : await outcome
			} catch (error) {
				this.settlements.push(() => member.reject(error))
			}
		}
		queued.finishesOffThread = true
		await this.commit(true)
		return [...this.toRunAgain, ...this.members]
	}
}

/**
 * Runs a member and those that follow it in the queue, in as many batches as that takes; returns the
 * settlements for when the call has left its queue.
 */
const runBatches = async (first, queued) => {
	const { path } = first.call
	const settlements = []
	let members = [first]
	for (let round = 0; members.length > 0; round++) {
		queued.finishesOffThread = false
		// Between two holds others may run: other processes, and what may abort the rest.
		if (round > 0) await letLoopTurn()
		let hold
		try {
			hold = await acquire(members[0].call)
		} catch (error) {
			// At once: the others may have to wait much longer.
			members.shift().reject(error)
			continue
		}
		markHolding(queued, true)
		try {
			const batch = new Batch(path, hold, members)
			members = await batch.runAll(queued)
			settlements.push(...batch.settlements)
		} catch (error) {
			// No call can update the file.
			const all = members
			members = []
			settlements.push(...all.map((member) => () => member.reject(error)))
		} finally {
			release(hold)
			markHolding(queued, false)
		}
	}
	return settlements
}

/**
 * Queues one update, which runs alone or in a batch. `change` is its `updater`, or the `text` to
 * write.
 */
const submit = (call, change) => {
	const member = { kind: KIND, call, ...change }
	const promise = new Promise((resolve, reject) => Object.assign(member, { resolve, reject }))
	// Settled when the call has left its queue: a caller whose promise has settled may count on a free
	// lock.
	runQueued(call, (queued) => runBatches(member, queued), member).then(
		(settlements) => settleAll(settlements ?? []),
		member.reject,
	)
	return promise
}

module.exports = { submit }
