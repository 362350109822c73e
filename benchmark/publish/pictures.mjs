// The pictures that are published, and the numbers that each one shows.

import { lineChart, lineFromLow, rangeChart, whiskers } from './charts.mjs'
import { colourOf, nameOf, originOf, shapeOf } from './labels.mjs'
import { renderSvg } from './render-svg.mjs'

const BASES = [
	...['floor', 'argus-sync', 'argus-async', 'argus-heartbeat', 'crate-update', 'older-argus'],
	...['proper-lockfile', 'sqlite', 'lmdb'],
]

const HEARTBEAT_BASES = BASES.map((base) => (base === 'crate-update' ? 'crate-heartbeat' : base))

const SIZE_BASES = [
	...['copy', 'argus-sync', 'argus-async', 'argus-heartbeat', 'older-argus', 'sqlite', 'lmdb'],
]

const onDisk = (data, part, durable) =>
	(data.parts[part]?.results ?? []).filter(
		(result) => result.place === 'disk' && result.durable === durable,
	)

/** A group of rows for each durability, of the bases in their order. */
const byDurability = (data, part, bases, numbers) =>
	[
		['survives a crash of the process', false],
		['survives a power failure (durable)', true],
	].map(([name, durable]) => {
		const results = onDisk(data, part, durable)
		const rows = bases.flatMap((base) =>
			results
				.filter((result) => result.base === base)
				.map((result) => ({ label: nameOf(base), colour: colourOf(base), ...numbers(result) })),
		)
		return { name, rows }
	})

const oneProcess = (data) =>
	rangeChart({
		title: 'One process: updates per second',
		lines: [
			'More is better. Logarithmic axis. Mark: median of the rounds. Whiskers: their range.',
			originOf(data),
		],
		unit: 'updates per second',
		range: whiskers,
		groups: byDurability(data, 'one-process', BASES, ({ opsPerSecond, slowest, fastest }) => ({
			...{ value: opsPerSecond, low: slowest, high: fastest },
		})),
	})

const watchers = (data) =>
	rangeChart({
		title: 'Heartbeats of ten watchers: latency',
		lines: [
			'Less is better. Logarithmic axis. Hollow mark: median (p50). Filled mark: p99.',
			'From the time at which a heartbeat was due to its end.',
			originOf(data),
		],
		unit: 'milliseconds',
		range: lineFromLow,
		groups: byDurability(data, 'watchers', HEARTBEAT_BASES, ({ p50, p99 }) => ({
			...{ value: p99, low: p50 },
		})),
	})

const series = (base, points) => ({
	...{ name: nameOf(base), colour: colourOf(base), shape: shapeOf(base), points },
})

const byProcesses = (data, numbers) => {
	const results = ['one-process', 'processes'].flatMap((part) => onDisk(data, part, false))
	return BASES.filter((base) => base !== 'floor').map((base) => {
		const own = results.filter((result) => result.base === base)
		return series(
			base,
			own.map((result) => ({ x: result.processes, ...numbers(result) })),
		)
	})
}

const throughput = (data) =>
	lineChart({
		title: 'Many processes: updates per second of all together',
		lines: [
			'More is better. Logarithmic axes. Mark: median of the rounds. Whiskers: their range.',
			'A closed loop without pauses, not durable.',
			originOf(data),
		],
		across: 'processes',
		upward: 'updates per second',
		series: byProcesses(data, ({ opsPerSecond, slowest, fastest }) => ({
			...{ y: opsPerSecond, low: slowest, high: fastest },
		})),
	})

const worstP99 = (data) =>
	lineChart({
		title: 'Many processes: the highest p99 of any process',
		lines: [
			'Less is better. Logarithmic axes. Mark: median of the rounds.',
			'A closed loop without pauses, not durable.',
			originOf(data),
		],
		across: 'processes',
		upward: 'milliseconds',
		series: byProcesses(data, (result) => ({ y: result.worstP99 })),
	})

const sizes = (data) => {
	const onDisk = (data.parts.sizes?.sizes ?? []).filter(({ place }) => place === 'disk')
	return lineChart({
		title: 'Large registries: time of one update of one entry',
		lines: [
			'Less is better. Logarithmic axes. Mark: median of the calls.',
			'One process, not durable.',
			originOf(data),
		],
		across: 'entries in the registry',
		upward: 'milliseconds',
		series: SIZE_BASES.map((base) =>
			series(
				base,
				onDisk.map(({ entries, medians }) => ({ x: entries, y: medians[base] })),
			),
		),
	})
}

const charts = {
	'one-process.svg': oneProcess,
	'processes.svg': throughput,
	'worst-p99.svg': worstP99,
	'watchers.svg': watchers,
	'sizes.svg': sizes,
}

/** { name of the file: its text }. */
export const picturesOf = async (data) => {
	const pictures = {}
	for (const [name, chartOf] of Object.entries(charts)) {
		pictures[name] = await renderSvg(chartOf(data))
	}
	return pictures
}
