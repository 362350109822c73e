'use strict'

// The entry operations. The addon does them, lock and all, without coming back in between; those
// of one registry that wait together are done together.

const { outcomeOf } = require('./background.js')
const { registryCodec } = require('./content.js')
const { RegistryError, aborted, messageOf, unwrap } = require('./errors.js')
const { mayRunAgain, report } = require('./hold.js')
const { isDue, letLoopTurn } = require('./loop.js')
const native = require('./native.js')
const {
	bad,
	elapsedMs,
	flag,
	instant,
	milliseconds,
	prepare,
	refuseCodec,
} = require('./options.js')
const { inTurn, takeAlong, whenOver } = require('./turns.js')
const { DEFAULT_TTL_MS } = require('./values.js')

/** What may be taken along: another copy of this package has an addon, and objects, of its own. */
const KIND = Symbol('operation')

/** So many are done under one lock: other processes wait for it, too. */
const MOST_TOGETHER = 500

/** Has a member leave when its time is over, or its caller aborts, unless stopped. */
const mayLeave = ({ call, operation, reject }, index) => {
	// The first one's time is the addon's to watch, which says more of who holds the lock.
	const watched = index === 0 ? { ...call, timeoutMs: Number.POSITIVE_INFINITY } : call
	return whenOver(watched, (error) => {
		// One that has begun can't be taken back: what came of it is the answer.
		if (operation.cancel()) reject(error)
	})
}

/** Does operations together. Returns those that are still to be done. */
const apply = async (members, news) => {
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
			report(call, { code: 'CORRUPT', path, noun: registryCodec.noun, reason }, kept)
		}
		for (const [index, { resolve }] of members.entries()) {
			// Who was cancelled knows already.
			if (outcomes[index] !== null) news.push(() => resolve(JSON.parse(outcomes[index])))
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

/** Does an operation and those behind it; returns what is to be told when their turn is over. */
const lead = async (first, turn) => {
	turn.needsNoThread = true
	/** The first one decides for all when an old argus's lockfile is stale. */
	const isAsPatient = ({ call }) => call.staleMs === first.call.staleMs
	const members = [first]
	while (first.mayHaveCompany && members.length < MOST_TOGETHER) {
		const member = takeAlong(first.call.path, KIND, isAsPatient)
		if (!member) break
		members.push(member)
	}
	const stays = members.map(mayLeave)
	const news = []
	try {
		for (let left = members; left.length > 0; ) left = await apply(left, news)
	} finally {
		for (const stay of stays) stay()
	}
	return news
}

/** An operation as the addon reads it. JSON carries every string and number of JavaScript's. */
const orderOf = (path, what, now) => {
	try {
		return JSON.stringify({ what, now })
	} catch (error) {
		throw bad(path, `a watcher must be a value that JSON can hold: ${messageOf(error)}`)
	}
}

const operate = (call, what, options, mayHaveCompany = true) => {
	const { path } = call
	const order = orderOf(path, what, instant(path, 'now', options?.now))
	const operation = unwrap(native.entryOperation(path, order))
	const member = { kind: KIND, call, operation, mayHaveCompany }
	const promise = new Promise((resolve, reject) => Object.assign(member, { resolve, reject }))
	// Told when the turn is over: whoever is told may count on a free lock.
	inTurn(call, (turn) => lead(member, turn), mayHaveCompany ? member : undefined).then((news) => {
		for (const tell of news ?? []) tell()
	}, member.reject)
	return promise
}

const checkWatcher = (path, watcher) => {
	if (typeof watcher !== 'object' || watcher === null)
		throw bad(path, 'a watcher must be an object')
	return watcher
}

/** Whose entry is meant: an id, a claim, or a whole record. */
const whose = (path, who) => {
	if (typeof who === 'string') return { id: who }
	const { id, pid, startedAt } = who ?? {}
	if (Object(who) === who && 'host' in who) return { record: who }
	if (typeof id !== 'string' || !(pid >= 0) || !(startedAt >= 0)) {
		throw bad(
			path,
			'whose entry is meant must be said by id, by claim (id, pid and startedAt) or by record',
		)
	}
	return { claim: { id, pid, startedAt } }
}

const idTaken = (path, id, pid) => {
	const whose = pid === undefined ? '' : ` (process ${pid})`
	const message = `the id '${id}' is another watcher's in ${path}${whose}; end that watcher, or choose another id`
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
	return operate(call, { heartbeat: whose(call.path, who) }, options)
}

const removeWatcher = async (path, who, options) => {
	const call = prepareEntry(path, options)
	return operate(call, { remove: whose(call.path, who) }, options)
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
