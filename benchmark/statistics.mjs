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

/**
 * The percentile in which every list counts the same, however long it is; NaN of none.
 *
 * Where one process holds on to a lock and the others starve, nearly all updates are those of the
 * one that never waits: a plain percentile then shows no waiting at all.
 */
export const balancedPercentile = (lists, fraction) => {
	const counted = lists.filter((list) => list.length > 0)
	const weighed = counted.flatMap((list) =>
		list.map((value) => ({ value, weight: 1 / list.length / counted.length })),
	)
	weighed.sort((a, b) => a.value - b.value)
	let passed = 0
	for (const { value, weight } of weighed) {
		passed += weight
		// The weights add up to 1 but for rounding.
		if (passed >= fraction - 1e-9) return value
	}
	return Number.NaN
}
