'use strict'

// What all copies of this package in a thread share: their queues, and whether the thread is leaving.

/** @import { Content } from '../codec/content.js' */

/**
 * Content that the next commit of a batch will write, and the one name of its file or folder.
 *
 * @typedef {{ name: string, content: Content }} Unwritten
 */

/**
 * An update that code is inside of, by the name of its lock, and the update that is around it.
 * `whileLeaving`: whether it was begun while the thread was leaving. `unwritten`: what its updater
 * started from, if that is not in the file yet.
 *
 * @typedef {{
 *   lockName: string,
 *   active: boolean,
 *   whileLeaving: boolean,
 *   unwritten: Unwritten | undefined,
 *   outer: Scope | undefined,
 * }} Scope
 */

/**
 * A call in a queue.
 *
 * - `member`: what an earlier call may take into its batch.
 * - `holdsLock`, `since`: whether it holds the lock, and since when.
 * - `finishesOffThread`: whether the rest of it needs this thread no more.
 * - `begin`: called when the call is the first, or is batched by the first.
 *
 * @typedef {{
 *   member: unknown,
 *   holdsLock: boolean,
 *   since: number | undefined,
 *   finishesOffThread: boolean,
 *   begin: (isBatched: boolean) => void,
 * }} QueuedCall
 */

/**
 * What all copies of this package in the thread share, so that they see each other's calls.
 *
 * - `scopes`: the updates that the running code is inside of.
 * - `queues`: the queued calls of each lock: the first one runs, the others wait.
 * - `heldSync`: the locks that synchronous updates hold, in whatever async context their code runs.
 * - `isLeaving`: whether the thread's `exit` handlers run. No call that was under way goes on then.
 * - `giveUps`: what gives up the waits and the locks of such calls, for each copy of this package.
 *
 * @typedef {{
 *   scopes: import('node:async_hooks').AsyncLocalStorage<Scope | undefined>,
 *   queues: Map<string, QueuedCall[]>,
 *   heldSync: Set<string>,
 *   isLeaving: boolean,
 *   giveUps: Set<() => void>,
 * }} ThreadState
 */

const { AsyncLocalStorage } = require('node:async_hooks')
const { onLoopTurn } = require('../clock.js')

/** @returns {ThreadState} */
const newThreadState = () => {
	/** @type {ThreadState} */
	const made = {
		scopes: new AsyncLocalStorage(),
		queues: new Map(),
		heldSync: new Set(),
		isLeaving: false,
		giveUps: new Set(),
	}
	// Before the handlers that a program has already, which may make synchronous calls.
	process.prependListener('exit', () => {
		made.isLeaving = true
		made.heldSync.clear()
		// A program that emits the event itself does not end.
		onLoopTurn(() => {
			made.isLeaving = false
		})
	})
	return made
}

/** The name by which the copies find the state; its number changes with its shape. */
const key = Symbol.for('argus-registry.queues.4')
// A cast, because the types of globalThis know no symbols.
const shared = /** @type {Record<symbol, ThreadState | undefined>} */ (
	/** @type {unknown} */ (globalThis)
)
const state = shared[key] ?? newThreadState()
shared[key] = state

/** Whether the thread's `exit` handlers run. */
const isLeaving = () => state.isLeaving

/**
 * Has a copy of this package give up what its calls wait for or hold, when a synchronous call of a thread
 * that is leaving may need it. No call that was under way can go on then.
 *
 * @param {() => void} giveUp
 */
const onLeaving = (giveUp) => state.giveUps.add(giveUp)

/** In an `exit` handler, gives up what the calls that were under way wait for or hold. */
const giveUpIfLeaving = () => {
	if (!state.isLeaving) return
	for (const giveUp of state.giveUps) giveUp()
}

module.exports = { giveUpIfLeaving, isLeaving, onLeaving, state }
