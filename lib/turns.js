// Whose turn it is, within this thread: updates of one registry run one after the other, in order
// of arrival, and one that would wait for itself is refused.

const { AsyncLocalStorage } = require('node:async_hooks')
const { onAbort } = require('./abort.js')
const { RegistryError, aborted } = require('./errors.js')
const { remainingMs } = require('./options.js')

/** Longer ones overflow and fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

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
	new RegistryError('RE_ENTRANT', `${path} is being updated by this same caller; ${what}`, { path })

const refuseNested = (path) => {
	for (let place = inside.getStore(); place; place = place.outer) {
		// A timer that was started inside is no longer inside when the update is over.
		if (place.active && place.path === path) {
			throw reEntrant(path, 'change the value that the running update was given instead')
		}
	}
}

/** Runs caller's code inside a hold of the registry. */
const enter = async (path, body) => {
	const place = { path, active: true, outer: inside.getStore() }
	try {
		return await inside.run(place, body)
	} finally {
		place.active = false
	}
}

/** The same, for code that returns at once. */
const enterSync = (path, body) => {
	const place = { path, active: true, outer: inside.getStore() }
	heldSync.add(path)
	try {
		return inside.run(place, body)
	} finally {
		heldSync.delete(path)
		place.active = false
	}
}

/** Refuses a synchronous call that would block the thread an asynchronous one needs to go on. */
const refuseSync = (path) => {
	refuseNested(path)
	if (heldSync.has(path)) throw reEntrant(path, 'its synchronous update is not done')
	const turn = lines.get(path)?.[0]
	if (turn && !turn.needsNoThread) {
		throw reEntrant(path, 'an asynchronous update of this thread is under way: await it first')
	}
}

const overdue = ({ path, timeoutMs }) => {
	const what = `${path} is locked by this process, whose earlier updates are not done`
	const holder = { pid: process.pid, alive: true }
	return timeoutMs === 0
		? new RegistryError('LOCK_BUSY', `${what}: busy; try again later`, { path, holder })
		: new RegistryError('LOCK_TIMEOUT', `${what} after ${timeoutMs / 1000} s`, { path, holder })
}

/** Waits until the call is the first in its line; one that gives up leaves the line. */
const comeFirst = (call, line, turn) =>
	new Promise((resolve, reject) => {
		const { path, signal } = call
		const stopWaiting = () => {
			clearTimeout(timer)
			forget()
		}
		const leave = (error) => {
			stopWaiting()
			line.splice(line.indexOf(turn), 1)
			reject(error)
		}
		const left = remainingMs(call)
		const timer =
			left <= LONGEST_TIMER_MS ? setTimeout(() => leave(overdue(call)), left) : undefined
		const forget = onAbort(signal, () => leave(aborted(path, signal)))
		turn.begin = () => {
			stopWaiting()
			resolve()
		}
	})

/**
 * Runs `body` when all earlier calls for the same registry are done. It gets its turn, to tell
 * when the rest needs this thread no more.
 */
const inTurn = async (call, body) => {
	const { path, signal } = call
	refuseNested(path)
	if (signal?.aborted) throw aborted(path, signal)
	const line = lines.get(path) ?? []
	const turn = { needsNoThread: false, begin: undefined }
	line.push(turn)
	lines.set(path, line)
	if (line[0] !== turn) {
		if (call.timeoutMs === 0) {
			line.pop()
			throw overdue(call)
		}
		await comeFirst(call, line, turn)
	}
	try {
		return await body(turn)
	} finally {
		line.shift()
		if (line.length > 0) line[0].begin()
		else lines.delete(path)
	}
}

module.exports = { enter, enterSync, inTurn, refuseSync }
