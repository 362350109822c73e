'use strict'

// The addon's work off the JavaScript thread, as a promise of what comes of it.

const native = require('./load.js')

const LONGEST_PAUSE_MS = 32

const [major, minor] = (process.versions.bun ?? '').split('.').map(Number)

/**
 * Bun before 1.4 crashes, with its whole process, when a worker ends just after an addon has
 * settled a promise of it. In its workers ours settles none: it is asked whether the work is over.
 */
const isOldBun = major === 1 && minor < 4
const mustAsk = isOldBun && !require('node:worker_threads').isMainThread
if (mustAsk) native.returnTickets()

const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

const ask = async (ticket) => {
	// It was done at once.
	if (!(ticket instanceof native.Ticket)) return ticket
	for (let pause = 1; !ticket.isOver(); pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
		await delay(pause)
	}
	return ticket.take()
}

/** A promise of what comes of work that the addon has begun, or what has come of it already. */
const outcomeOf = mustAsk ? ask : (promise) => promise

module.exports = { outcomeOf }
