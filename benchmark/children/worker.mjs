// One process of a contestant: warms up on a registry of its own, says that it is ready, and on
// the signal updates the shared registry until the time is over.

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { heartbeat, writeFreshRegistry } from '../registry-file.mjs'

// Watchers live for hours: what counts is compiled code, not the first milliseconds.
const WARM_UP_UPDATES = 100

const { script, durable, path, index, seconds } = JSON.parse(process.argv[2])
const { create } = await import(script)
const update = create({ durable })
const beat = heartbeat(index)

const warmUp = async () => {
	const folder = join(dirname(path), `warm-up-${index}`)
	const own = join(folder, 'registry.json')
	mkdirSync(folder)
	writeFreshRegistry(own)
	for (let done = 0; done < WARM_UP_UPDATES; done++) await update(own, beat)
}

let errors = {}
const countError = (error) => {
	const code = error?.code ?? error?.message ?? String(error)
	errors[code] = (errors[code] ?? 0) + 1
}

const run = async (deadline) => {
	const latencies = []
	const rejected = []
	let inTime = 0
	for (;;) {
		const startedAt = performance.now()
		if (startedAt >= deadline) return { latencies, rejected, inTime, errors }
		try {
			await update(path, beat)
			const endedAt = performance.now()
			latencies.push(endedAt - startedAt)
			if (endedAt <= deadline) inTime += 1
		} catch (error) {
			rejected.push(performance.now() - startedAt)
			countError(error)
		}
	}
}

process.on('disconnect', () => process.exit(1))
// A lock that throws from a timer has failed, but the others still want to be measured.
process.on('uncaughtException', countError)
await warmUp().catch(countError)
errors = {}
process.send('ready')
const [{ startAt }] = await once(process, 'message')
const untilStart = startAt - Date.now()
const deadline = performance.now() + untilStart + seconds * 1000
if (untilStart > 0) await sleep(untilStart)
const result = await run(deadline)
process.send(result, () => process.exit(0))
