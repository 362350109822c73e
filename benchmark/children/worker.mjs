// One process of a contestant, writer or reader. It warms up, reports that it is ready, and calls the
// contestant under its load when the parent tells it to start.

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { CallRecorder, loops } from '../loads.mjs'
import { beatOf, freshRegistry } from '../registry-file.mjs'

// A watcher lives for hours, so compiled code is measured and not the first milliseconds. A single
// process is measured to the microsecond, and has the time for the most calls. Many processes that
// warm up side by side would take minutes for as many, so the time is limited, too.
const WARM_UP_MS = 400
const MAX_WARM_UP_CALLS = 1_000
const MIN_WARM_UP_CALLS = 30

const { script, durable, path, index, role, load } = JSON.parse(process.argv[2])
const contestant = await import(script)

let recorder = new CallRecorder()

const writer = () => {
	const update = contestant.create({ durable, index })
	const beat = beatOf(index)
	// A program opens its database once, and then runs for hours.
	update.connect?.(path)
	return (file) => update(file, beat)
}

/** A writer warms up on a file of its own: there it delays no other, and its updates don't count. */
const warmUp = async (call) => {
	let file = path
	if (role === 'write') {
		const folder = join(dirname(path), `warm-up-${index}`)
		mkdirSync(folder)
		file = join(folder, 'registry.json')
		await contestant.prepare(file, freshRegistry(index + 1))
	}
	const until = performance.now() + WARM_UP_MS
	const isWarm = (done) =>
		done >= MAX_WARM_UP_CALLS || (done >= MIN_WARM_UP_CALLS && performance.now() > until)
	for (let done = 0; !isWarm(done); done++) await call(file)
}

process.on('disconnect', () => process.exit(1))
// A lock that throws from a timer has failed. This process counts that and measures on.
process.on('uncaughtException', (error) => recorder.countError(error))

const call = role === 'write' ? writer() : contestant.createReader()
await warmUp(call).catch(() => {})
recorder = new CallRecorder()
process.send('ready')
const [{ startAt }] = await once(process, 'message')
const untilStart = startAt - Date.now()
if (untilStart > 0) await sleep(untilStart)
const before = process.cpuUsage()
await loops[load.kind](() => call(path), load, recorder)
const { user, system } = process.cpuUsage(before)
process.send({ ...recorder, cpuMs: (user + system) / 1_000 }, () => process.exit(0))
