// The table at the end of a run.

export const ms = (value) => (value === undefined ? 'none' : `${value.toFixed(1)} ms`)

const both = ({ p50, p99 }) => `${ms(p50)} and ${ms(p99)}`

const takeoverRow = ({ victim, by, ms: took }) => [
	`takeover from ${victim}`,
	took === null ? 'none' : `${ms(took)}, by ${by}`,
]

const goneRow = ({ victim, gone }) => [
	`entry of ${victim} pruned`,
	gone ? `${ms(gone.ms)} after the kill: ${gone.reason}` : 'no',
]

const freezeRows = (freeze) => {
	if (!freeze) return [['freeze', 'left out: this platform has no SIGSTOP']]
	const { acknowledged, intruders, robbed, waited } = freeze
	return [
		['frozen while holding', `${ms(freeze.ms)}, ${robbed ? 'ROBBED' : 'not robbed'}`],
		['changes that got in meanwhile', intruders],
		['updates that waited for it', waited],
		['its own update', acknowledged ? 'acknowledged' : 'failed'],
	]
}

const rowsOf = (facts) => {
	const { calmLatency, failed, kills, latency, reads } = facts
	return [
		['watchers announced', `${facts.announced}, ${kills.length} of them to be killed`],
		['watchers left', facts.left],
		['ids given twice', facts.duplicates.length],
		['entries dropped', facts.dropped.length],
		['entries taken by another', facts.taken.length],
		['entries back after removal', facts.resurrected.length],
		['entries pruned', `${facts.pruned.length}, ${facts.wronglyPruned.length} of them wrongly`],
		...kills.map(goneRow),
		[],
		['beats acknowledged', `${facts.beats}, checked in ${facts.looks} looks at the registry`],
		['beats lost', facts.lostBeats],
		[],
		['updates acknowledged', facts.acknowledged],
		['found in the registry', facts.found],
		['lost', facts.lost],
		['failed', failed.length],
		[],
		['takeovers', `${kills.filter(({ ms: took }) => took !== null).length} of ${kills.length}`],
		...kills.map(takeoverRow),
		[],
		...freezeRows(facts.freeze),
		[],
		['latency p50 and p99', both(latency)],
		['the same without the freeze', both(calmLatency)],
		['reads without the lock', `${reads.count}, ${reads.torn} torn, ${reads.backwards} backwards`],
	]
}

const untoldNote = ({ acknowledged, found }) =>
	found > acknowledged
		? ['Found but not acknowledged: committed by a process that was killed before it could say so.']
		: []

/** The whole result, as lines. */
export const tableOf = (facts) => layOut(facts, rowsOf(facts))

/** The lines of a table with these rows, and what the account says. An empty row is an empty line. */
export const layOut = (facts, rows) => {
	const width = Math.max(...rows.map(([name = '']) => name.length))
	const lines = rows.map(([name, value]) =>
		name === undefined ? '' : `  ${name.padEnd(width)}  ${value}`,
	)
	const verdict =
		facts.problems.length === 0
			? ['Nothing was lost.']
			: ['Not as it should be:', ...facts.problems.map((problem) => `  ${problem}`)]
	return [
		'',
		`  Watchers ran on ${facts.runtime}.`,
		'',
		...lines,
		'',
		...untoldNote(facts),
		...verdict,
	]
}
