// The tables of README.md and docs/performance.md: { name of the section: Markdown }.

import {
	errorsText,
	groupsOf,
	megabytes,
	ms,
	orDash,
	percent,
	rate,
	resultRows,
	stepRows,
	targetRows,
	times,
	microseconds as us,
} from '../report.mjs'
import { allBases, fullName, nameOf, originOf } from './labels.mjs'

const table = ([head, ...rows]) => {
	const line = (cells) => `| ${cells.map((cell) => cell || ' ').join(' | ')} |`
	const rule = `|---|${head
		.slice(1)
		.map(() => '---:')
		.join('|')}|`
	return [line(head), rule, ...rows.map(line)].join('\n')
}

const picture = (file, alt, folder) => `![${alt}](${folder}pictures/${file})`

const find = (data, part, wanted) =>
	(data.parts[part]?.results ?? []).find((result) =>
		Object.entries(wanted).every(([key, value]) => result[key] === value),
	)

const summaryRow = (data, base) => {
	const on = (durable) => find(data, 'one-process', { base, durable, place: 'disk' })
	const ten = find(data, 'processes', { base, durable: false, place: 'disk', processes: 10 })
	const seen = (result) => [
		...[rate(result?.opsPerSecond), times(result?.timesFloor), rate(result?.overFloorUs)],
	]
	const together =
		base === 'floor'
			? ['-', '-', '-']
			: [rate(ten?.opsPerSecond), ms(ten?.worstP99), percent(ten?.fairness)]
	return [nameOf(base), ...seen(on(false)), ...seen(on(true)), ...together]
}

const summary = (data) => `${originOf(data)} Commit ${data.machine.commit}.

${table([
	[
		'updates per second',
		'1 process',
		'time/floor',
		'us over it',
		'1, durable',
		'time/floor',
		'us over it',
		'10 processes',
		'worst p99, ms',
		'slowest/fastest',
	],
	...allBases
		.filter((base) => find(data, 'one-process', { base }))
		.map((base) => summaryRow(data, base)),
])}

${picture('one-process.svg', 'Updates per second of one process, for each contestant', 'docs/')}

${picture('worst-p99.svg', 'The highest p99 of any process, by the number of processes', 'docs/')}`

const machine = (data) =>
	[
		table([
			['', ''],
			...Object.entries(data.machine).map(([key, value]) => [key, orDash(value, String)]),
		]),
		...data.notes.map((note) => `\n**${note}**`),
		data.settings.quick ? '\n**A quick run, of one round: not for judging.**' : '',
	]
		.filter((text) => text !== '')
		.join('\n')

/** The table of the terminal, with the contestants' published names. */
const resultTable = (results) => {
	const [head, ...rows] = resultRows(results)
	return table([head, ...rows.map(([contestant, ...cells]) => [fullName(contestant), ...cells])])
}

const part = (name) => (data) =>
	groupsOf(data.parts[name]?.results ?? [])
		.map(([group, results]) => `**${group}**\n\n${resultTable(results)}`)
		.join('\n\n')

const concurrent = ({
	parts: {
		concurrent: { results },
	},
}) =>
	table([
		['contestant', 'ops/s', '+-', 'failed', 'lost'],
		...results.map((each) => [
			fullName(each.contestant),
			rate(each.opsPerSecond),
			percent(each.spread),
			String(each.failed),
			String(each.lost),
		]),
	])

const sizes = ({
	parts: {
		sizes: { sizes: all },
	},
}) => {
	const places = [...new Set(all.map(({ place }) => place))]
	return places
		.map((place) => {
			const own = all.filter((each) => each.place === place)
			const head = [
				'ms',
				...own.map(({ entries, bytes }) => `${entries} (${(bytes / 1e3).toFixed(1)} KB)`),
			]
			const names = Object.keys(own[0].medians)
			const rows = names.map((name) => [
				fullName(name),
				...own.map(({ medians }) => ms(medians[name])),
			])
			return `**${place}**\n\n${table([head, ...rows])}`
		})
		.join('\n\n')
}

const recovery = ({
	parts: {
		recovery: { results },
	},
}) =>
	table([
		['contestant', 'kills', 'median ms', 'max ms', 'failed'],
		...results.map(({ contestant, rounds, median, max, failed }) => [
			...[fullName(contestant), String(rounds), ms(median), ms(max), String(failed)],
		]),
	])

const waiting = ({
	parts: {
		waiting: { results },
	},
}) =>
	table([
		['waiting call', 'held by', 'CPU, ms', 'waited, ms', 'error'],
		...results.map(({ contestant, holder, cpuMs, ms: waited, code }) => [
			...[nameOf(contestant), holder === 'older-argus' ? 'an older argus' : 'the same package'],
			...[ms(cpuMs), ms(waited), errorsText({ [code]: 1 }).slice(2)],
		]),
	])

const startUp = ({
	parts: {
		'start-up': { results, addonBytes },
	},
}) => `${table([
	['require', 'median ms', 'max ms', 'memory'],
	...results.map((each) => [each.module, ms(each.ms), ms(each.maxMs), megabytes(each.bytes)]),
])}

The addon's file: ${megabytes(addonBytes)}.`

/** A row of what Node measured of a store. */
const folderRow = (name, { heartbeat, claim, reading = [] }) => [
	name,
	us(heartbeat),
	us(claim),
	...reading.flatMap(({ first, again }) => [us(first), us(again)]),
]

const folder = ({ parts: { folder: found } }) => {
	if (!found?.medians) return 'Not measured in the published run.'
	const { rust, node } = found.medians
	const ofFolder = node.find(({ store }) => store === 'folder')
	const sizes = ofFolder.reading.map(({ size }) => size.toLocaleString('en'))
	const head = sizes.flatMap((size) => [`${size}, first`, `${size}, again`])
	const empty = head.map(() => '-')
	const ofRust = ({ size }) => ['First', 'Again'].map((when) => us(rust[`read${size}${when}`]))
	const rows = [
		['system calls alone, Node', us(ofFolder.floorNode), '-', ...empty],
		...node.map(({ store, ...each }) => folderRow(store, each)),
		['system calls alone, Rust', us(rust.floor), '-', ...empty],
		['folder, Rust', us(rust.heartbeat), us(rust.claim), ...ofFolder.reading.flatMap(ofRust)],
	]
	const watchers = found.watchers.map(({ store, acknowledged, p50, p99, max, failed }) => [
		...[store, rate(acknowledged), ms(p50), ms(p99), ms(max), rate(failed)],
	])
	return `${table([['store, us', 'heartbeat', 'claim', ...head], ...rows])}

${table([['1,000 watchers', 'heartbeats', 'p50 ms', 'p99 ms', 'max ms', 'failed'], ...watchers])}`
}

const etcd = ({ parts: { etcd: found } }) => {
	if (!found?.calls) return 'Not measured in the published run.'
	const inMs = (us) => ms(us / 1e3)
	const calls = Object.entries(found.calls).map(([name, { us, plainUs, ratio }]) => [
		...[name, inMs(us), inMs(plainUs), times(ratio)],
	])
	return `${table([['call, p50', 'ms', 'plain calls, ms', 'ratio'], ...calls])}

${table(stepRows(found.steps))}

By leases alone: ${rate(found.leasesPerSecond)} renewals per second, those of ${rate(found.leasesPerSecond * 15)} watchers. etcd ${found.version}, on ${found.place}.`
}

const withPicture = (make, file, alt) => (data) => `${picture(file, alt, '')}\n\n${make(data)}`

export const sectionsOf = (data) => {
	const makers = {
		summary,
		machine,
		targets: ({ targets }) => table(targetRows(targets)),
		'one-process': withPicture(
			part('one-process'),
			'one-process.svg',
			'Updates per second of one process, for each contestant',
		),
		processes: (d) =>
			`${picture('processes.svg', 'Updates per second by the number of processes', '')}\n\n${withPicture(part('processes'), 'worst-p99.svg', 'The highest p99 of any process, by the number of processes')(d)}`,
		watchers: withPicture(
			part('watchers'),
			'watchers.svg',
			'Latency of the heartbeats of ten watchers',
		),
		readers: part('readers'),
		endurance: part('endurance'),
		concurrent,
		sizes: withPicture(sizes, 'sizes.svg', 'Time of one update by the number of entries'),
		recovery,
		waiting,
		'start-up': startUp,
		folder,
		etcd,
	}
	return Object.fromEntries(Object.entries(makers).map(([name, make]) => [name, make(data)]))
}
