// Numbers of a few rounds, where the exact value counts. For the latencies of many calls, see
// latency-histogram.mjs.

export const median = (values) => {
	const sorted = Float64Array.from(values).sort()
	const middle = sorted.length / 2
	return Number.isInteger(middle)
		? (sorted[middle - 1] + sorted[middle]) / 2
		: sorted[Math.floor(middle)]
}

export const sum = (values) => values.reduce((total, value) => total + value, 0)

/** Half the range, as a part of the median. */
export const spread = (values) => (Math.max(...values) - Math.min(...values)) / 2 / median(values)
