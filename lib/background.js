'use strict'

// The addon's work off the JavaScript thread, as a promise of what comes of it.

const { setTimeout: delay } = require('node:timers/promises')
const { isMainThread } = require('node:worker_threads')
const native = require('./native.js')

const LONGEST_PAUSE_MS = 32

const [major, minor] = (process.versions.bun ?? '').split('.').map(Number)

/**
 * Bun before 1.4 crashes, with its whole process, when a worker ends just after an addon has settled
 * a promise of it. In its workers ours settles none: it is asked whether the work is over.
 */
const mustAsk = !isMainThread && major === 1 && minor < 4
if (mustAsk) native.returnTickets()

const ask = async (ticket) => {
	for (let pause = 1; !ticket.isOver(); pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
		await delay(pause)
	}
	return ticket.take()
}

/** A promise of what comes of work that the addon has just begun. */
const outcomeOf = mustAsk ? ask : (promise) => promise

module.exports = { outcomeOf }
