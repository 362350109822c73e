// The two ways to put load on a lock, and what is counted under each. The clock is an argument:
// the accounting is tested with one that jumps.

import { setTimeout as sleep } from 'node:timers/promises'

/** A timer of Node's is late by up to this; the rest is waited for by the system's own clock. */
const TIMER_MS = 3

const nobody = new Int32Array(new SharedArrayBuffer(4))

export const systemClock = {
	now: () => performance.now(),
	until: async (at) => {
		const early = at - performance.now() - TIMER_MS
		if (early > 0) await sleep(early)
		const rest = at - performance.now()
		if (rest > 0) Atomics.wait(nobody, 0, 0, rest)
	},
}

/** What became of the calls of one process. Rejected ones have waited like the others. */
export class Outcome {
	latencies = []
	acknowledged = 0
	/** Acknowledged before the time was over: what throughput is made of. */
	within = 0
	errors = {}
	windowMs = 0

	countError(error) {
		const code = error?.code ?? error?.message ?? String(error)
		this.errors[code] = (this.errors[code] ?? 0) + 1
	}

	async call(call, begunAt, endsAt, clock) {
		let error
		let isAcknowledged = false
		try {
			await call()
			isAcknowledged = true
		} catch (thrown) {
			error = thrown
		}
		const doneAt = clock.now()
		this.latencies.push(doneAt - begunAt)
		if (isAcknowledged) {
			this.acknowledged += 1
			if (doneAt <= endsAt) this.within += 1
		} else {
			this.countError(error)
		}
	}
}

/** One call after the other, for a time: a slow call keeps the next from being made. */
export const closedLoop = async (call, { seconds }, outcome, clock = systemClock) => {
	outcome.windowMs = seconds * 1_000
	const endsAt = clock.now() + outcome.windowMs
	while (clock.now() < endsAt) await outcome.call(call, clock.now(), endsAt, clock)
}

/**
 * One call per period, whether or not the last one is done by then. Each counts from when it
 * should have begun: after a stall, all the calls that it kept from beginning are late, not only
 * the one that met it.
 */
export const openLoop = async (call, load, outcome, clock = systemClock) => {
	const { seconds, periodMs, phaseMs } = load
	outcome.windowMs = seconds * 1_000
	const startedAt = clock.now()
	const endsAt = startedAt + outcome.windowMs
	for (let after = phaseMs; after < outcome.windowMs; after += periodMs) {
		await clock.until(startedAt + after)
		await outcome.call(call, startedAt + after, endsAt, clock)
	}
}

const once = (call, _, outcome, clock = systemClock) => {
	const startedAt = clock.now()
	return outcome.call(call, startedAt, startedAt, clock)
}

export const loops = { closed: closedLoop, open: openLoop, once }
