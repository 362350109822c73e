// The latencies of many calls, in a histogram of Node's own: HdrHistogram, which keeps a count for
// each range of values and no single value.

import { createHistogram } from 'node:perf_hooks'

/**
 * Significant digits: as many as the tables print. A percentile is the upper end of its range, so it
 * is too high by up to a thousandth, for every contestant alike. One more digit takes ten times the
 * memory, of which the garbage collector knows nothing: with 64 processes, over a gigabyte.
 */
const FIGURES = 3
const NANOSECONDS_PER_MS = 1e6

const STORED_PERCENTILES = [1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100]

export class LatencyHistogram {
	#histogram = createHistogram({ figures: FIGURES })
	/** Kept beside the histogram, whose own maximum is the upper end of a range. */
	#max = Number.NEGATIVE_INFINITY

	/** Of latencies in milliseconds. */
	static of(latencies) {
		const histogram = new LatencyHistogram()
		for (const ms of latencies) histogram.record(ms)
		return histogram
	}

	record(ms) {
		// The histogram takes whole numbers from 1.
		this.#histogram.record(Math.max(Math.round(ms * NANOSECONDS_PER_MS), 1))
		this.#max = Math.max(this.#max, ms)
	}

	add(other) {
		this.#histogram.add(other.#histogram)
		this.#max = Math.max(this.#max, other.#max)
	}

	get count() {
		return this.#histogram.count
	}

	/** In milliseconds, exact. NaN without calls. */
	get max() {
		return this.count === 0 ? Number.NaN : this.#max
	}

	/**
	 * By nearest rank, in milliseconds. `percent` is over 0 and up to 100. NaN without calls. The rank is
	 * rounded up. Node's histogram rounds it to the nearest, and would give the p99 of 60 calls as the
	 * second slowest of them.
	 */
	percentile(percent) {
		const { count } = this
		if (count === 0) return Number.NaN
		const rank = Math.ceil((percent / 100) * count)
		const nanoseconds = this.#histogram.percentile((100 * rank) / count)
		return Math.min(nanoseconds / NANOSECONDS_PER_MS, this.#max)
	}

	get summary() {
		return { p50: this.percentile(50), p99: this.percentile(99), max: this.max }
	}

	/** The distribution, for the raw data of a run. */
	toJSON() {
		const percentiles = STORED_PERCENTILES.map((percent) => [
			`p${percent}`,
			this.percentile(percent),
		])
		return { count: this.count, percentiles: Object.fromEntries(percentiles) }
	}
}
