'use strict'

// The event loop's turn. What is done at once, on the calling thread, comes back without one: a
// program that awaits update after update would keep its own timers and sockets waiting.

const { setImmediate } = require('node:timers')

/** For so long calls may follow each other without a turn of the event loop. */
const LONGEST_MS = 5

/** When the first of them began; undefined if the loop has turned since. */
let since

const turned = () => {
	since = undefined
}

/** Whether the loop is to have its turn before anything else is done at once. */
const isDue = () => {
	const now = performance.now()
	if (since === undefined) {
		since = now
		setImmediate(turned)
	}
	return now - since > LONGEST_MS
}

/** Resolves when the loop has turned. */
const letLoopTurn = () => new Promise((resolve) => setImmediate(resolve))

module.exports = { isDue, letLoopTurn }
