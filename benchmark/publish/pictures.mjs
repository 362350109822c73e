// Which pictures there are, and of what: { file name: content }.

import { barPicture, linePicture } from './svg.mjs'
import { colourOf, nameOf, where } from './words.mjs'

const FEW = [
	...['floor', 'argus-sync', 'argus-async', 'argus-heartbeat', 'crate-update', 'seed-lock'],
	...['proper-lockfile', 'sqlite', 'lmdb'],
]

const BEATING = FEW.map((base) => (base === 'crate-update' ? 'crate-heartbeat' : base))

const resultsOf = (data, part, { place = 'disk', durable, processes }) =>
	(data.parts[part]?.results ?? []).filter(
		(result) =>
			result.place === place &&
			(durable === undefined || result.durable === durable) &&
			(processes === undefined || result.processes === processes),
	)

const inOrder = (results, bases = FEW) =>
	bases.flatMap((base) => results.filter((result) => result.base === base))

const speeds = (results) =>
	inOrder(results).map(({ base, opsPerSecond, slowest, fastest }) => ({
		label: nameOf(base),
		colour: colourOf(base),
		value: opsPerSecond,
		low: slowest,
		high: fastest,
	}))

const oneProcess = (data) =>
	barPicture({
		title: 'One process: updates per second',
		description: `Median and range of the rounds, logarithmic. ${where(data)}`,
		unit: 'updates per second, logarithmic: more is better',
		groups: [
			{
				name: 'survives a crash of the process',
				bars: speeds(resultsOf(data, 'one-process', { durable: false })),
			},
			{
				name: 'survives a power failure',
				bars: speeds(resultsOf(data, 'one-process', { durable: true })),
			},
		],
	})

const byProcesses = (data, value) => {
	const results = ['one-process', 'processes'].flatMap((part) =>
		resultsOf(data, part, { durable: false }),
	)
	return FEW.filter((base) => base !== 'floor').map((base) => {
		const points = results
			.filter((result) => result.base === base)
			.map((result) => [result.processes, value(result)])
			.sort(([one], [other]) => one - other)
		return { name: nameOf(base), colour: colourOf(base), points }
	})
}

const throughput = (data) =>
	linePicture({
		title: 'Many processes: updates per second of all together',
		description: `A closed loop without pauses, not durable, logarithmic. ${where(data)}`,
		across: 'processes',
		upward: 'updates per second, logarithmic: more is better',
		series: byProcesses(data, ({ opsPerSecond }) => opsPerSecond),
	})

const tails = (data) =>
	linePicture({
		title: 'Many processes: p99 of the process that had it worst',
		description: `A closed loop without pauses, not durable, logarithmic. ${where(data)}`,
		across: 'processes',
		upward: 'ms, logarithmic: less is better',
		series: byProcesses(data, ({ worstP99 }) => worstP99),
	})

const latencies = (results) =>
	inOrder(results, BEATING).map(({ base, p50, p99 }) => ({
		label: nameOf(base),
		colour: colourOf(base),
		value: p99,
		low: p50,
		high: p99,
	}))

const watchers = (data) =>
	barPicture({
		title: 'Ten watchers beating: p99 of a beat, and a line from its median',
		description: `An open loop, counted from when the beat was due, logarithmic. ${where(data)}`,
		unit: 'ms, logarithmic: less is better',
		groups: [
			{
				name: 'survives a crash of the process',
				bars: latencies(resultsOf(data, 'watchers', { durable: false })),
			},
			{
				name: 'survives a power failure',
				bars: latencies(resultsOf(data, 'watchers', { durable: true })),
			},
		],
	})

const SIZED = [
	'copy',
	'argus-sync',
	'argus-async',
	'argus-heartbeat',
	'seed-lock',
	'sqlite',
	'lmdb',
]

const sizes = (data) => {
	const own = (data.parts.sizes?.sizes ?? []).filter(({ place }) => place === 'disk')
	return linePicture({
		title: 'Large registries: time of one update of one entry',
		description: `One process, not durable, medians, logarithmic. ${where(data)}`,
		across: 'entries',
		upward: 'ms, logarithmic: less is better',
		series: SIZED.map((base) => ({
			name: nameOf(base),
			colour: colourOf(base),
			points: own.map(({ entries, medians }) => [entries, medians[base]]),
		})),
	})
}

export const picturesOf = (data) => ({
	'one-process.svg': oneProcess(data),
	'processes.svg': throughput(data),
	'worst-p99.svg': tails(data),
	'watchers.svg': watchers(data),
	'sizes.svg': sizes(data),
})
