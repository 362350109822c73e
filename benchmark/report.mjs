// The text that a run prints: a line per cell, and the tables at the end.

const isNothing = (value) =>
	value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))

export const orDash = (value, format) => (isNothing(value) ? '-' : format(value))

/** With about three digits. */
export const ms = (value) =>
	orDash(value, (found) => found.toFixed(found < 1 ? 3 : found < 10 ? 2 : found < 100 ? 1 : 0))
export const times = (value) => orDash(value, (found) => `${found.toFixed(2)}x`)
export const percent = (value) => orDash(value, (found) => `${Math.round(found * 100)}%`)
export const megabytes = (bytes) => orDash(bytes, (found) => `${(found / 1e6).toFixed(2)} MB`)
export const rate = (value) => orDash(value, (found) => String(Math.round(found)))

export const errorsText = (errors = {}) =>
	Object.entries(errors)
		.map(([code, count]) => `${count} ${code}`)
		.join(', ')

const table = (rows) => {
	const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
	const line = (row) =>
		row.map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  ')
	const [head, ...body] = rows.map(line)
	return [head, '-'.repeat(head.length), ...body].map((text) => text.trimEnd()).join('\n')
}

export const machineText = (machine) =>
	Object.entries(machine)
		.map(([key, value]) => `${`${key}:`.padEnd(18)} ${orDash(value, String)}`)
		.join('\n')

const lostText = (lost) => (lost ? `LOST ${lost}` : '')

export const cellText = (cell, rounds) => {
	const contestant = `${cell.contestant.padEnd(24)} ${String(cell.processes).padStart(2)} proc.`
	const speed = rate(cell.opsPerSecond).padStart(6)
	const latency = `p50 ${ms(cell.p50)} ms  p99 ${ms(cell.p99)} ms, worst ${ms(cell.worstP99)} ms`
	const reads = cell.reads
		? `reads ${rate(cell.reads.opsPerSecond)}/s ${errorsText(cell.reads.errors)}`
		: ''
	const fields = [
		`round ${cell.round}/${rounds}  ${cell.place.padEnd(5)}  ${contestant}  ${speed} ops/s  ${latency}`,
		reads,
		errorsText(cell.errors),
		lostText(cell.lost),
	]
	return fields.filter((field) => field !== '').join('  ')
}

export const concurrentText = (burst, rounds) =>
	[
		`round ${burst.round}/${rounds}  ${burst.contestant.padEnd(24)}`,
		`${rate(burst.opsPerSecond).padStart(6)} ops/s  ${burst.failed} failed`,
		lostText(burst.lost),
	]
		.filter((field) => field !== '')
		.join('  ')

export const sizeText = ({ place, entries, bytes, samples, medians }) => {
	const each = Object.entries(medians).map(([name, time]) => `${name} ${ms(time)}`)
	const head = `${place}, ${entries} entries (${(bytes / 1e3).toFixed(1)} KB, ${samples} samples), ms:`
	return `${head}\n  ${each.join(', ')}`
}

export const microseconds = (us) =>
	us === undefined ? '-' : us < 100 ? us.toPrecision(3) : String(Math.round(us))

export const stepRows = (steps) => [
	[
		'watchers',
		'heartbeats/s',
		'p50 ms',
		'p99 ms',
		'failed',
		'CPU of etcd',
		'of the client',
		'keeps up',
	],
	...steps.map((each) => [
		...[String(each.watchers), rate(each.perSecond), ms(each.p50Us / 1e3), ms(each.p99Us / 1e3)],
		...[String(each.failed), percent(each.serverCpu), percent(each.clientCpu)],
		each.keepsUp ? 'yes' : 'no',
	]),
]

/** One round of the part of etcd. */
export const etcdText = ({ round, calls, steps, leases }) => {
	const each = Object.entries(calls).map(
		([name, { us, plainUs, ratio }]) =>
			`  ${name.padEnd(10)} ${ms(us / 1e3)} ms, plain ${ms(plainUs / 1e3)} ms: ${times(ratio)}`,
	)
	const renewed = `  leases alone: ${rate(leases.perSecond)} renewals/s (CPU of etcd ${percent(leases.serverCpu)})`
	return [`round ${round}`, ...each, table(stepRows(steps)), renewed].join('\n')
}

/** One round of the part of folders. */
export const folderText = ({ round, rust, node }) => {
	const readings = (each) =>
		each.reading.flatMap(({ size, first, again }) => [
			...(first === undefined ? [] : [`${size} entries first ${microseconds(first)}`]),
			`${size} entries${first === undefined ? '' : ' again'} ${microseconds(again)}`,
		])
	const ofNode = ({ store, floorNode, heartbeat, claim, ...each }) => {
		const cells = [
			...(floorNode === undefined ? [] : [`Node's floor ${microseconds(floorNode)}`]),
			`heartbeat ${microseconds(heartbeat)}`,
			...(claim === undefined ? [] : [`claim ${microseconds(claim)}`]),
			...readings(each),
		]
		return `  ${store} (Node): ${cells.join(', ')}`
	}
	const ofRust = Object.entries(rust ?? {}).map(([cell, us]) => `${cell} ${microseconds(us)}`)
	const lines = rust ? [`  folder (Rust): ${ofRust.join(', ')}`] : []
	return [`round ${round}, us:`, ...lines, ...node.map(ofNode)].join('\n')
}

export const manyWatchersText = (watchers) =>
	table([
		['1,000 watchers of 10 processes', 'heartbeats', 'p50 ms', 'p99 ms', 'max ms', 'failed'],
		...watchers.map(({ store, acknowledged, p50, p99, max, failed }) => [
			...[store, String(acknowledged), ms(p50), ms(p99), ms(max), String(failed)],
		]),
	])

export const recoveryText = (results) =>
	table([
		['contestant', 'kills', 'median ms', 'max ms', 'failed', 'lost'],
		...results.map(({ contestant, rounds, median, max, failed, lost }) => [
			...[contestant, String(rounds), ms(median), ms(max)],
			...[String(failed), String(lost)],
		]),
	])

export const waitingText = (results) =>
	table([
		['waiting call', 'held by', 'CPU ms', 'waited ms', 'error'],
		...results.map(({ contestant, holder, cpuMs, ms: waited, code }) => [
			...[contestant, holder, ms(cpuMs), ms(waited), code],
		]),
	])

export const startUpText = ({ results, addonBytes }) =>
	`${table([
		['require', 'median ms', 'max ms', 'memory'],
		...results.map((each) => [each.module, ms(each.ms), ms(each.maxMs), megabytes(each.bytes)]),
	])}\nthe addon: ${megabytes(addonBytes)}`

export const columns = [
	['ops/s', (result) => rate(result.opsPerSecond)],
	['+-', (result) => percent(result.spread)],
	['p50 ms', (result) => ms(result.p50)],
	['p99 ms', (result) => ms(result.p99)],
	['worst p99', (result) => ms(result.worstP99)],
	['max ms', (result) => ms(result.max)],
	['time/floor', (result) => times(result.timesFloor)],
	['us over floor', (result) => rate(result.overFloorUs)],
	['fairness', (result) => (result.processes === 1 ? '-' : percent(result.fairness))],
	['reads/s', (result) => rate(result.reads?.opsPerSecond)],
	['bad reads', (result) => (result.reads ? errorsText(result.reads.errors) || '0' : '-')],
	['lost', (result) => orDash(result.lost, String)],
	['errors', (result) => errorsText(result.errors)],
]

/** Without the columns that are empty in every row. */
export const resultRows = (results) => {
	const shown = columns.filter(([, text]) =>
		results.some((each) => !['', '-'].includes(text(each))),
	)
	return [
		['contestant', ...shown.map(([name]) => name)],
		...results.map((each) => [each.contestant, ...shown.map(([, text]) => text(each))]),
	]
}

export const groupsOf = (results) => {
	const groups = new Map()
	for (const result of results) {
		const key = `${result.processes} process${result.processes === 1 ? '' : 'es'}, ${result.place}`
		groups.set(key, [...(groups.get(key) ?? []), result])
	}
	return [...groups]
}

export const resultsText = (part, results) =>
	groupsOf(results)
		.map(([group, own]) => `${part}: ${group}\n\n${table(resultRows(own))}\n`)
		.join('\n')

export const legend = `ops/s: acknowledged updates of all processes together, within the time of the load.
p50, p99, max: latency of a call, with its waiting. Rejected calls have one, too. In watchers it counts
from when the call was due. Percentiles are exact to a thousandth.
worst p99: the highest p99 of any process. Where one process keeps the lock, the p99 of all calls together
says nothing of the others.
All of these are medians of the rounds, but max is the highest; +- is half their range.
time/floor: the floor's ops/s divided by the contestant's, of one round, place and durability. The floor is
of one process.
fairness: the updates of the process with the fewest, divided by those of the process with the most.
lost: updates that were acknowledged and are not there. Negative: reported as failed, and there.
`

export const targetRows = (rows) => [
	['target', 'measured', 'us over floor', 'verdict'],
	...rows.map(({ target, measured, unit, overFloorUs, verdict }) => [
		target,
		orDash(measured, (value) => `${value.toFixed(value < 100 ? 2 : 0)} ${unit}`),
		rate(overFloorUs),
		verdict,
	]),
]

export const targetsText = (rows) => table(targetRows(rows))
