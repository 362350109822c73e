// One watcher: announces itself, heartbeats, leaves. When ordered to, its next heartbeat holds
// the lock until it is killed, or told to settle.

import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { orders, settings, tell, tellReport } from './link.mjs'
import { participant } from './participant.mjs'

const { id, port } = settings
const startedAt = Date.now()
const update = participant(settings, tellReport)

/** Bounded, so that it does not outlive a playground that can't kill it any more. */
const LONGEST_BLOCK_MS = 60_000

let { beatMs } = settings
let ordered
let leaving = false

const holds = {
	waiting: (settled) => settled,
	blocked: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONGEST_BLOCK_MS),
	// One update after the other: whenever the kill comes, it hits one.
	committing: () => {
		beatMs = 0
	},
}

const holdAsOrdered = async ({ sequence, insideAt }) => {
	const how = ordered
	ordered = undefined
	const settled = once(orders, 'settle')
	await tell('holding', { sequence, insideAt })
	await holds[how](settled)
}

const enter = (registry) => {
	registry.watchers[id] = {
		id,
		host: '127.0.0.1',
		port,
		pid: process.pid,
		startedAt,
		updatedAt: Date.now(),
	}
}

const noteMissing = (registry, report) => {
	report.missing = !Object.hasOwn(registry.watchers, id)
}

const beat = async (registry, report) => {
	noteMissing(registry, report)
	enter(registry)
	if (ordered) await holdAsOrdered(report)
}

const leave = (registry, report) => {
	noteMissing(registry, report)
	delete registry.watchers[id]
}

const mustSucceed = ({ what, error }) => {
	if (error) throw new Error(`${id} could not ${what}: ${error}`)
}

orders.on('hold', ({ how }) => {
	ordered = how
})
orders.on('leave', () => {
	leaving = true
})

const started = once(orders, 'start')
await tell('ready')
await started
mustSucceed(await update('announce', enter))
while (!leaving) {
	await delay(beatMs)
	await update('heartbeat', beat)
}
mustSucceed(await update('leave', leave))
process.disconnect()
