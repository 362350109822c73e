// Runs one cell of the benchmark, as a child of `perf`, which samples the processes that this one starts.

import { writeFileSync } from 'node:fs'
import { runCells } from '../cells.mjs'
import { contestantNamed } from '../contestants.mjs'

const { name, seconds, resultFile, ...spec } = JSON.parse(process.argv[2])
const contestant = contestantNamed(name)
const load = { kind: 'closed', seconds }

let startedAt

/** When the load begins is part of the result: the samples before are those of the start-up. */
const start = async (parameters) => {
	const run = await contestant.start(parameters)
	return (startAt) => {
		startedAt = startAt
		return run(startAt)
	}
}

const specs = [{ ...spec, contestant: { ...contestant, start }, load }]
const [cell] = await runCells(specs, { settings: { rounds: 1 }, print: console.log })
writeFileSync(resultFile, JSON.stringify({ pid: process.pid, startedAt, cell }))
