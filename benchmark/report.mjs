// The tables that are printed.

const isNothing = (value) =>
	value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))

const or = (value, format) => (isNothing(value) ? '-' : format(value))

const ms = (value) => or(value, (found) => found.toFixed(found < 10 ? 3 : 1))
const times = (value) => or(value, (found) => `${found.toFixed(2)}x`)
const percent = (value) => or(value, (found) => `${Math.round(found * 100)}%`)
const megabytes = (bytes) => or(bytes, (found) => `${(found / 1e6).toFixed(2)} MB`)
const errorCount = (errors) => Object.values(errors).reduce((total, count) => total + count, 0)

const table = (rows) => {
	const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)))
	const line = (row) =>
		row.map((text, i) => (i === 0 ? text.padEnd(widths[i]) : text.padStart(widths[i]))).join('  ')
	const [head, ...body] = rows.map(line)
	return [head, '-'.repeat(head.length), ...body].map((text) => text.trimEnd()).join('\n')
}

export const machineText = (machine) =>
	Object.entries(machine)
		.map(([key, value]) => `${`${key}:`.padEnd(12)} ${value}`)
		.join('\n')

export const cellText = (cell, round, rounds) => {
	const who = `${cell.contestant.padEnd(24)} ${String(cell.processes).padStart(2)} proc.`
	const speed = `${Math.round(cell.opsPerSecond)}`.padStart(6)
	const trouble = [
		errorCount(cell.errors) > 0 ? `errors ${JSON.stringify(cell.errors)}` : '',
		cell.lost ? `lost ${cell.lost}` : '',
	].join(' ')
	const latency = `p50 ${ms(cell.p50)} ms  p99 ${ms(cell.p99)} ms`
	return `round ${round}/${rounds}  ${who}  ${speed} ops/s  ${latency}  ${trouble}`.trimEnd()
}

const heading = [
	'contestant',
	'ops/s',
	'+-',
	'p50 ms',
	'p99 ms',
	'max ms',
	'time/floor',
	'p50/floor',
	'fairness',
	'errors',
	'lost',
]

const resultRow = (result) => [
	result.contestant,
	String(Math.round(result.opsPerSecond)),
	percent(result.spread),
	ms(result.p50),
	ms(result.p99),
	ms(result.max),
	times(result.timesFloor),
	times(result.timesFloorP50),
	result.processes === 1 ? '-' : percent(result.fairness),
	String(errorCount(result.errors)),
	or(result.lost, String),
]

export const resultsText = (results) => {
	const counts = [...new Set(results.map(({ processes }) => processes))]
	return counts
		.map((count) => {
			const rows = results.filter(({ processes }) => processes === count).map(resultRow)
			return `${count} process${count === 1 ? '' : 'es'}\n\n${table([heading, ...rows])}\n`
		})
		.join('\n')
}

export const legend = `One process runs for a time, without pauses; several get the same number of updates each, with
pauses between them, and the clock stops when the last is done. ops/s: acknowledged updates of all processes together. p50, p99, max: how
long a call took, waiting included, rejected calls too. Median of the rounds (max: the worst), +-
half their range. time/floor: the floor's ops/s through these; p50/floor: this p50 through the
floor's. Both refer to the floor with 1 process, of the same round and durability, whatever the
number of processes. fairness: the time of the process that was done first through that of the
last. errors: rejected updates. lost: acknowledged, but not in the file; negative: in the file,
though reported as failed.
`

export const othersText = (recovery, startUp, { burst, large, hop, idle }) => {
	const { rounds } = recovery
	const after = ({ median, max }) => `median ${ms(median)} ms, max ${ms(max)} ms`
	const { ms: time, bytes, addonBytes, processes } = startUp
	return `After SIGKILL of a holder, the next update (durable; ${rounds} rounds)
  sync:  ${after(recovery.sync)}
  async: ${after(recovery.async)}

Requiring the package (${processes} fresh processes)
  time:   ${after(time)}
  memory: median ${megabytes(bytes.median)}, max ${megabytes(bytes.max)}
  addon:  ${megabytes(addonBytes)} on disk

${burst.calls} calls at once in one process (medians)
  argus:     ${Math.round(burst.argus.opsPerSecond)} ops/s, ${burst.argus.failed} failed
  seed-lock: ${Math.round(burst.seed.opsPerSecond)} ops/s, ${burst.seed.failed} failed

A heartbeat among ${large.entries} entries (${megabytes(large.bytes)}; medians)
  heartbeat:              ${ms(large.heartbeat)} ms
  read, write and rename: ${ms(large.copy)} ms

One hop to another thread and back: ${ms(hop.p50)} ms (median)

A heartbeat and a watch, idle for ${idle.seconds} s: ${ms(idle.cpuMs)} ms of CPU
`
}

export const targetsText = (rows) =>
	table([
		['target', 'measured', 'verdict'],
		...rows.map(({ target, measured, unit, verdict }) => [
			target,
			`${measured.toFixed(2)} ${unit}`,
			verdict,
		]),
	])
