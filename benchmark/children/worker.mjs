// One process of a contestant, writer or reader: warms up, says that it is ready, and on the
// signal calls the contestant under the load that it was told.

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loops, Outcome } from '../loads.mjs'
import { beatOf, freshRegistry } from '../registry-file.mjs'

// Watchers live for hours: what counts is compiled code, not the first milliseconds. One that is
// alone is measured to the microsecond; of many, all would be warming up for minutes.
const WARM_UP_MS = 400
const MOST_CALLS = 1_000
const FEWEST_CALLS = 30

const { script, durable, path, index, role, load } = JSON.parse(process.argv[2])
const contestant = await import(script)

let outcome = new Outcome()

const writer = () => {
	const update = contestant.create({ durable, index })
	const beat = beatOf(index)
	// A program opens its database once, and then lives for hours.
	update.connect?.(path)
	return (file) => update(file, beat)
}

/** Writers warm up where they disturb nobody and are not counted. */
const warmUp = async (call) => {
	let file = path
	if (role === 'write') {
		const folder = join(dirname(path), `warm-up-${index}`)
		mkdirSync(folder)
		file = join(folder, 'registry.json')
		await contestant.prepare(file, freshRegistry(index + 1))
	}
	const until = performance.now() + WARM_UP_MS
	const isWarm = (done) => done >= MOST_CALLS || (done >= FEWEST_CALLS && performance.now() > until)
	for (let done = 0; !isWarm(done); done++) await call(file)
}

process.on('disconnect', () => process.exit(1))
// A lock that throws from a timer has failed, but the others still want to be measured.
process.on('uncaughtException', (error) => outcome.countError(error))

const call = role === 'write' ? writer() : contestant.createReader()
await warmUp(call).catch(() => {})
outcome = new Outcome()
process.send('ready')
const [{ startAt }] = await once(process, 'message')
const untilStart = startAt - Date.now()
if (untilStart > 0) await sleep(untilStart)
const before = process.cpuUsage()
await loops[load.kind](() => call(path), load, outcome)
const { user, system } = process.cpuUsage(before)
process.send({ ...outcome, cpuMs: (user + system) / 1_000 }, () => process.exit(0))
