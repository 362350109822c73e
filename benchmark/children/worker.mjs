// One process of a contestant: warms up on a registry of its own, says that it is ready, and on
// the signal updates the shared registry until its work is done or the time is over.

import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { heartbeat, writeFreshRegistry } from '../registry-file.mjs'

// Watchers live for hours: what counts is compiled code, not the first milliseconds.
const WARM_UP_UPDATES = 100

const { script, durable, path, index, seconds, updates, pause = 0 } = JSON.parse(process.argv[2])
const { create } = await import(script)
const update = create({ durable, index })
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

const run = async () => {
	const startedAt = performance.now()
	const isOver = (tried) =>
		updates === undefined ? performance.now() - startedAt >= seconds * 1000 : tried >= updates
	/** Of rejected updates too: they have waited like the others. */
	const latencies = []
	let acknowledged = 0
	while (!isOver(latencies.length)) {
		const begunAt = performance.now()
		try {
			await update(path, beat)
			acknowledged += 1
		} catch (error) {
			countError(error)
		}
		latencies.push(performance.now() - begunAt)
		if (pause > 0) await sleep(2 * pause * Math.random())
	}
	return { latencies, acknowledged, elapsedMs: performance.now() - startedAt, errors }
}

process.on('disconnect', () => process.exit(1))
// A lock that throws from a timer has failed, but the others still want to be measured.
process.on('uncaughtException', countError)
await warmUp().catch(countError)
errors = {}
process.send('ready')
const [{ startAt }] = await once(process, 'message')
const untilStart = startAt - Date.now()
if (untilStart > 0) await sleep(untilStart)
const result = await run()
process.send(result, () => process.exit(0))
