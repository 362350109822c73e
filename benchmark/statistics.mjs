/** By nearest rank, of ascending values; NaN of none. */
export const percentile = (sorted, fraction) =>
	sorted.length === 0 ? Number.NaN : sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)]

const ascending = (values) => Float64Array.from(values).sort()

export const median = (values) => {
	const sorted = ascending(values)
	const middle = sorted.length / 2
	return Number.isInteger(middle)
		? (sorted[middle - 1] + sorted[middle]) / 2
		: sorted[Math.floor(middle)]
}

/** Half the range, as a part of the median. */
export const spread = (values) => (Math.max(...values) - Math.min(...values)) / 2 / median(values)

export const sum = (values) => values.reduce((total, value) => total + value, 0)

export const summarise = (latencies) => {
	const sorted = ascending(latencies)
	return {
		p50: percentile(sorted, 0.5),
		p99: percentile(sorted, 0.99),
		max: percentile(sorted, 1),
	}
}
