'use strict'

// Calls that are done at once, on the calling thread, come back without a turn of the event loop: a
// program that awaits update after update would keep its own timers and sockets waiting. This
// module says when such a call has to let the loop turn first.

const { monotonicMs, onLoopTurn } = require('../clock.js')

/** How long calls may follow each other without a turn of the event loop. */
const MAX_BURST_MS = 5

/**
 * When the first of them began; undefined if the loop has turned since.
 *
 * @type {number | undefined}
 */
let since

const onTurn = () => {
	since = undefined
}

/** Whether the loop has to turn before another call is done at once. */
const isTurnDue = () => {
	const now = monotonicMs()
	if (since === undefined) {
		since = now
		onLoopTurn(onTurn)
	}
	return now - since > MAX_BURST_MS
}

/** Resolves when the loop has turned. */
const letLoopTurn = () => new Promise((resolve) => onLoopTurn(() => resolve(undefined)))

module.exports = { isTurnDue, letLoopTurn }
