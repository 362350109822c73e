// The table at the end of a run on etcd.

import { layOut, ms } from '../table.mjs'

const frozenRows = (frozen) =>
	frozen
		? [
				['frozen past its lease', ms(frozen.ms)],
				[
					'its entry gone',
					`${ms(frozen.goneMs)} after the freeze, its id taken by ${frozen.takenBy}`,
				],
				['when it woke', frozen.wasTold ? 'it found its entry gone' : 'IT WAS NOT TOLD'],
			]
		: [['freeze', 'left out: this platform has no SIGSTOP']]

const rowsOf = (facts) => [
	['servers', facts.servers],
	['watchers announced', `${facts.announced}, ${facts.kills.length} of them to be killed`],
	['watchers left', facts.left],
	['ids given twice', facts.duplicates.length],
	['entries dropped', facts.dropped.length],
	['entries taken by another', facts.taken.length],
	['entries back after removal', facts.resurrected.length],
	...facts.kills.map(({ victim, gone }) => [
		`entry of ${victim} gone`,
		gone ? `${ms(gone.ms)} after the kill, with its lease` : 'no',
	]),
	[],
	['beats acknowledged', `${facts.beats}, checked in ${facts.looks} looks at the registry`],
	['beats lost', facts.lostBeats],
	[],
	['updates acknowledged', facts.acknowledged],
	['found in the registry', facts.found],
	['lost', facts.lost],
	['failed', facts.failed.length],
	[],
	...facts.outages.map(({ role, name, ms: took, calls }) => [
		`${role} killed`,
		`${name}; the first update that began afterwards took ${ms(took)}, ${calls} calls were under way`,
	]),
	...frozenRows(facts.frozen),
	[],
	['latency p50 and p99', `${ms(facts.latency.p50)} and ${ms(facts.latency.p99)}`],
]

/** The whole result, as lines. */
export const etcdTableOf = (facts) => layOut(facts, rowsOf(facts))
