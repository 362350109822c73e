// The two ways to put load on a lock, and what each one counts. The clock is an argument, so
// that a test can count with a clock that jumps.

import { setTimeout as sleep } from 'node:timers/promises'

/** A timer of Node's may fire late by this. The last of a pause is a wait of the system's instead. */
const TIMER_DELAY_MS = 3

const neverNotified = new Int32Array(new SharedArrayBuffer(4))

export const systemClock = {
	now: () => performance.now(),
	until: async (at) => {
		const early = at - performance.now() - TIMER_DELAY_MS
		if (early > 0) await sleep(early)
		const rest = at - performance.now()
		if (rest > 0) Atomics.wait(neverNotified, 0, 0, rest)
	},
}

/** Counts and times the calls of one process. A rejected call has waited, so it has a latency, too. */
export class CallRecorder {
	latencies = []
	acknowledged = 0
	/** Acknowledged within the time of the load. Throughput is computed from these. */
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

/** One call after the other, for a time. A slow call delays the next one. */
export const closedLoop = async (call, { seconds }, recorder, clock = systemClock) => {
	recorder.windowMs = seconds * 1_000
	const endsAt = clock.now() + recorder.windowMs
	while (clock.now() < endsAt) await recorder.call(call, clock.now(), endsAt, clock)
}

/**
 * One call per period, whether or not the last one is done by then. The latency of a call counts from
 * when the call was due. So after a stall, all the calls that were due meanwhile are late, and not only
 * the one that stalled.
 */
export const openLoop = async (call, load, recorder, clock = systemClock) => {
	const { seconds, periodMs, phaseMs } = load
	recorder.windowMs = seconds * 1_000
	const startedAt = clock.now()
	const endsAt = startedAt + recorder.windowMs
	for (let after = phaseMs; after < recorder.windowMs; after += periodMs) {
		await clock.until(startedAt + after)
		await recorder.call(call, startedAt + after, endsAt, clock)
	}
}

const once = (call, _, recorder, clock = systemClock) => {
	const startedAt = clock.now()
	return recorder.call(call, startedAt, startedAt, clock)
}

export const loops = { closed: closedLoop, open: openLoop, once }
