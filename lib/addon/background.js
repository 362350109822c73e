'use strict'

// The addon's work off the JavaScript thread, as a promise of its result.

/** @import { Background, PolledWork } from './addon.d.ts' */

const { startTimer } = require('../clock.js')
const native = require('./load.js')

const MAX_PAUSE_MS = 32

const [major, minor = 0] = (process.versions.bun ?? '').split('.').map(Number)

/**
 * Whether this thread has to poll. Bun before 1.4 crashes, with its whole process, when a worker
 * ends just after an addon has settled a promise of it: Bun 1.3.14 did so in each of three runs of
 * __test__/addon/workers.test.mjs without this. In workers of such a Bun the addon settles no
 * promise, and this module asks it whether the work is over.
 */
const isOldBun = major === 1 && minor < 4
const mustPoll = isOldBun && !require('node:worker_threads').isMainThread
if (mustPoll) native.returnPolledWork()

/** @param {number} ms */
const delay = (ms) => new Promise((resolve) => startTimer(ms, () => resolve(undefined)))

/**
 * @template T
 * @param {Background<T>} background
 * @returns {Promise<T>}
 */
const poll = async (background) => {
	// The call had its result at once.
	if (!(background instanceof native.PolledWork)) return background
	for (let pause = 1; !background.isOver(); pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
		await delay(pause)
	}
	// Its type, because one class of the addon stands for the work of every kind of call.
	return /** @type {T} */ (background.take())
}

/**
 * A promise of the result of work that the addon has begun; or that result, if it is there already.
 *
 * @type {<T>(background: Background<T>) => T | Promise<T>}
 */
const resultOf = mustPoll
	? poll
	: // Only a thread that has asked for polled work gets it.
		(background) => /** @type {Exclude<typeof background, PolledWork>} */ (background)

module.exports = { mustPoll, resultOf }
