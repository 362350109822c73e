const ascending = (values) => Float64Array.from(values).sort()

/** By nearest rank, of ascending values; NaN of none. */
export const percentile = (sorted, fraction) =>
	sorted.length === 0 ? Number.NaN : sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)]

export const median = (values) => {
	const sorted = ascending(values)
	const middle = sorted.length / 2
	return Number.isInteger(middle)
		? (sorted[middle - 1] + sorted[middle]) / 2
		: sorted[Math.floor(middle)]
}

/** Unlike Math.max, of as many values as there are. */
export const largest = (values) =>
	values.reduce((max, value) => Math.max(max, value), Number.NEGATIVE_INFINITY)

export const sum = (values) => values.reduce((total, value) => total + value, 0)

export const smallest = (values) =>
	values.reduce((min, value) => Math.min(min, value), Number.POSITIVE_INFINITY)

/** Half the range, as a part of the median. */
export const spread = (values) => (largest(values) - smallest(values)) / 2 / median(values)

export const summarise = (latencies) => {
	const sorted = ascending(latencies)
	return {
		p50: percentile(sorted, 0.5),
		p99: percentile(sorted, 0.99),
		max: percentile(sorted, 1),
	}
}

const STEPS_PER_DECADE = 20

/** [[from which microsecond, how many], ...]: the whole distribution in few numbers, 12% a step. */
export const histogram = (latencies) => {
	const steps = new Map()
	for (const ms of latencies) {
		const step = Math.floor(Math.log10(Math.max(ms * 1_000, 1)) * STEPS_PER_DECADE)
		steps.set(step, (steps.get(step) ?? 0) + 1)
	}
	return [...steps]
		.sort(([one], [other]) => one - other)
		.map(([step, count]) => [Math.round(10 ** (step / STEPS_PER_DECADE)), count])
}
