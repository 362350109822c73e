'use strict'

// Updates of one registry that wait in one thread are run together: one lock, one updater after
// the other, one commit. Each sees its predecessor's result as an object of its own, one that
// fails fails alone, and all are told when the commit is done.

const { look, open } = require('./documents.js')
const { aborted } = require('./errors.js')
const { acquire, commit, contentOf, mayRunAgain, release, unlessAborted } = require('./hold.js')
const { letLoopTurn } = require('./loop.js')
const { enter, inTurn, setHolding, takeAlong } = require('./turns.js')

/** After this long no more updates are taken along: other processes wait for the lock, too. */
const BATCH_MS = 20

/** What may be taken along: no calls of another copy of this package, which may be newer. */
const KIND = Symbol('update')

const isThenable = (value) => typeof value?.then === 'function'

/** The file as it is about to be: what was read, and what the updaters have made of it. */
class Draft {
	constructor(hold) {
		this.hold = hold
		/** What is in it, and by whose `codec` it was printed if that was done in this batch. */
		this.content = contentOf(hold)
		/** Who has changed it since it was written last, and what each found corrupt. */
		this.writers = []
	}

	get isWritten() {
		return this.writers.length === 0
	}

	/** What one finds who replaces the content unread. */
	look(call) {
		return this.content.codec === call.codec ? {} : look(call, this.content)
	}

	/** What one finds who updates it. */
	open(call) {
		return open(call, this.content)
	}

	set(call, text, corrupt) {
		this.content = { exists: true, text, codec: call.codec }
		this.writers.push({ call, corrupt })
	}

	/** Takes what an updater made of what it had opened. */
	accept(call, { corrupt, isChanged }, next) {
		if (call.signal?.aborted) throw aborted(call.path, call.signal)
		const text = call.codec.encode(call.path, next)
		if (isChanged(next, text)) this.set(call, text, corrupt)
	}

	/** Writes what has changed, if anything has; returns a promise only if that takes another thread. */
	write(thenRelease) {
		if (this.isWritten) return undefined
		const durable = this.writers.some(({ call }) => call.durable)
		// The others found what the first has made of it.
		const [{ call, corrupt }] = this.writers
		this.writers = []
		return commit(call, this.hold, corrupt, this.content.text, durable, thenRelease)
	}
}

/** A batch under its lock. */
class Batch {
	constructor(path, hold, members) {
		this.path = path
		this.members = members
		this.draft = new Draft(hold)
		this.startedAt = performance.now()
		/** Those who are done, but for the writing. */
		this.done = []
		/** Those who have to run again, because the lock was lost. */
		this.again = []
		/** What is to be told when the lock is free again. */
		this.news = []
	}

	/** Who runs next: one who was here before, or one who waits and is taken along. */
	next() {
		if (this.members.length > 0) return this.members.shift()
		return performance.now() - this.startedAt < BATCH_MS ? takeAlong(this.path, KIND) : undefined
	}

	/** Writes; says whether the draft is what is in the file. */
	async write(thenRelease) {
		const { done } = this
		this.done = []
		try {
			const writing = this.draft.write(thenRelease)
			// Each needless await costs as much as some of the system calls.
			if (writing) await writing
			for (const member of done) this.news.push(() => member.resolve(member.value))
			return true
		} catch (error) {
			for (const member of done) {
				if (mayRunAgain(member.call, error)) this.again.push(member)
				else this.news.push(() => member.reject(error))
			}
			return false
		}
	}

	/** Runs one member; says whether others may follow, or promises to. */
	run(member) {
		const { call, text, updater } = member
		if (call.signal?.aborted) throw aborted(call.path, call.signal)
		const opened = text === undefined ? this.draft.open(call) : this.draft.look(call)
		if (opened.corrupt && !this.draft.isWritten) {
			// What another's codec has just made of it can be kept once it is in the file. In the next
			// hold: what is kept is named after its hold, so that one hold can keep only once.
			this.members.unshift(member)
			return false
		}
		if (text !== undefined) {
			this.draft.set(call, text, opened.corrupt)
			this.done.push(member)
			return true
		}
		const { result, leave } = enter(this.path, () => updater(opened.given))
		if (isThenable(result)) return this.settle(member, opened, result, leave)
		leave()
		return this.accept(member, opened, result)
	}

	accept(member, opened, value) {
		member.value = value
		this.draft.accept(member.call, opened, value)
		this.done.push(member)
		return true
	}

	/** Waits for an async updater. No others follow: it may have taken its time. */
	async settle(member, opened, result, leave) {
		const settled = unlessAborted(member.call, Promise.resolve(result)).finally(leave)
		settled.catch(() => {})
		if (await this.writeBefore()) this.accept(member, opened, await settled)
		// It was given what was never written.
		else this.again.push(member)
		return false
	}

	/** Before an async updater, which may take its time, those before it are written and told. */
	async writeBefore() {
		const isWritten = await this.write(false)
		tell(this.news.splice(0))
		return isWritten
	}

	/** Runs all; returns those who have to run again. */
	async runAll(turn) {
		let mayGoOn = true
		for (let member = this.next(); member; member = mayGoOn ? this.next() : undefined) {
			try {
				const outcome = this.run(member)
				mayGoOn = typeof outcome === 'boolean' ? outcome : await outcome
			} catch (error) {
				this.news.push(() => member.reject(error))
			}
		}
		turn.needsNoThread = true
		await this.write(true)
		return [...this.again, ...this.members]
	}
}

const tell = (news) => {
	for (const item of news) item()
}

/** Runs a member and who follows it; returns what is to be told when its turn is over. */
const lead = async (first, turn) => {
	const { path } = first.call
	const news = []
	let members = [first]
	for (let round = 0; members.length > 0; round++) {
		turn.needsNoThread = false
		// Between two holds others get their turn: other processes, and what may abort the rest.
		if (round > 0) await letLoopTurn()
		let hold
		try {
			hold = await acquire(members[0].call)
		} catch (error) {
			// At once: the others may have to wait much longer.
			members.shift().reject(error)
			continue
		}
		setHolding(turn, true)
		try {
			const batch = new Batch(path, hold, members)
			members = await batch.runAll(turn)
			news.push(...batch.news)
		} catch (error) {
			// The file can't be updated by anybody.
			const all = members
			members = []
			news.push(...all.map((member) => () => member.reject(error)))
		} finally {
			release(hold)
			setHolding(turn, false)
		}
	}
	return news
}

/**
 * Does one update in turn, alone or with others. `job` is its `updater`, or the `text` to write.
 */
const submit = (call, job) => {
	const member = { kind: KIND, call, ...job }
	const promise = new Promise((resolve, reject) => Object.assign(member, { resolve, reject }))
	// Told when the turn is over: whoever is told may count on a free lock.
	inTurn(call, (turn) => lead(member, turn), member).then((news) => tell(news ?? []), member.reject)
	return promise
}

module.exports = { submit }
