'use strict'

// Whose turn it is, within this thread: updates of one registry run one after the other, in order
// of arrival, and one that would wait for itself is refused.

const { AsyncLocalStorage } = require('node:async_hooks')
const { onAbort } = require('./abort.js')
const { RegistryError, aborted, holderOf } = require('./errors.js')
const native = require('./native.js')
const { LONGEST_TIMER_MS, remainingMs } = require('./options.js')

/** Shared by all copies of this package in the thread, so that they see each other's turns. */
const shared = Symbol.for('argus-registry.turns.1')
globalThis[shared] ??= {
	/** What the code that runs now is inside of: a chain of `{ path, active, outer }`. */
	inside: new AsyncLocalStorage(),
	/** The asynchronous calls by registry: the first has its turn, the rest wait. */
	lines: new Map(),
	/** The registries that synchronous updates hold, in whatever context their code runs. */
	heldSync: new Set(),
}
const { inside, lines, heldSync } = globalThis[shared]

const reEntrant = (path, what) =>
	new RegistryError('RE_ENTRANT', `${path} is being updated by this thread: ${what}`, { path })

const refuseNested = (path) => {
	for (let place = inside.getStore(); place; place = place.outer) {
		// A timer that was started inside is no longer inside when the update is over.
		if (place.active && place.path === path) {
			throw reEntrant(
				path,
				'change the value that the updater was given, or write by the lock that is held, instead',
			)
		}
	}
}

/** Runs caller's code inside a hold of the registry, until `leave` says that it is done. */
const enter = (path, body) => {
	const place = { path, active: true, outer: inside.getStore() }
	const leave = () => {
		place.active = false
	}
	try {
		return { result: inside.run(place, body), leave }
	} catch (error) {
		leave()
		throw error
	}
}

/** The same, for code that returns at once. */
const enterSync = (path, body) => {
	heldSync.add(path)
	try {
		const { result, leave } = enter(path, body)
		leave()
		return result
	} finally {
		heldSync.delete(path)
	}
}

/** Refuses a synchronous call that would block the thread an asynchronous one needs to go on. */
const refuseSync = (path) => {
	refuseNested(path)
	if (heldSync.has(path)) throw reEntrant(path, 'a synchronous update is not done')
	const turn = lines.get(path)?.[0]
	if (turn && !turn.needsNoThread) {
		throw reEntrant(path, 'an asynchronous update is under way; await or abort it first')
	}
}

/** The error of a call whose time was over before its turn came. */
const overdue = ({ path, timeoutMs }) => {
	const [first] = lines.get(path)
	const holder = first.isHolding
		? { pid: process.pid, since: first.since, alive: true }
		: native.holderNow(path)
	const why = first.isHolding
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

/** Calls `leave` with an error when the call's time is over, or its caller aborts, unless stopped. */
const whenOver = (call, leave) => {
	const { path, signal } = call
	const forget = onAbort(signal, () => leave(aborted(path, signal)))
	const left = remainingMs(call)
	const timer = left <= LONGEST_TIMER_MS ? setTimeout(() => leave(overdue(call)), left) : undefined
	return () => {
		clearTimeout(timer)
		forget()
	}
}

/**
 * Waits until the call is the first in its line, or is taken along by the one that is, which is
 * what it resolves with. One that gives up leaves the line.
 */
const comeFirst = (call, line, turn) =>
	new Promise((resolve, reject) => {
		let stop = () => {}
		turn.begin = (isTakenAlong) => {
			stop()
			resolve(isTakenAlong)
		}
		stop = whenOver(call, (error) => {
			stop()
			leaveLine(call.path, line, turn)
			reject(error)
		})
	})

/** Takes a turn out of its line. If it was the first, the next one begins. */
const leaveLine = (path, line, turn) => {
	const at = line.indexOf(turn)
	if (at < 0) return
	line.splice(at, 1)
	if (at > 0) return
	if (line.length > 0) line[0].begin(false)
	else lines.delete(path)
}

/** Notes that the turn has the lock now, or no more. */
const setHolding = (turn, isHolding) => {
	turn.isHolding = isHolding
	turn.since = isHolding ? Date.now() : undefined
}

/** Takes the next in line along, if it is of that kind: it is the caller's to settle then. */
const takeAlong = (path, kind, suits = () => true) => {
	const line = lines.get(path)
	const turn = line?.[1]
	if (turn?.member?.kind !== kind || !suits(turn.member)) return undefined
	line.splice(1, 1)
	turn.begin(true)
	return turn.member
}

/**
 * Runs `body` when all earlier calls for the same registry are done. It gets its turn, to tell
 * when the rest needs this thread no more. A call with a `member` may be taken along by an earlier
 * one instead.
 */
const inTurn = async (call, body, member) => {
	const { path, signal } = call
	refuseNested(path)
	if (signal?.aborted) throw aborted(path, signal)
	const line = lines.get(path) ?? []
	const turn = { member, isHolding: false, needsNoThread: false, begin: undefined }
	if (line.length > 0 && call.timeoutMs === 0) throw overdue(call)
	line.push(turn)
	lines.set(path, line)
	try {
		if (line[0] !== turn && (await comeFirst(call, line, turn))) return undefined
		return await body(turn)
	} finally {
		leaveLine(path, line, turn)
	}
}

/** Runs code that is not to count as inside of anything, whatever has started it. */
const outside = (body) => inside.run(undefined, body)

module.exports = { enter, enterSync, inTurn, outside, refuseSync, setHolding, takeAlong, whenOver }
