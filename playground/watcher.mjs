// One watcher: claims an entry, renews it, leaves, and makes counted updates all the while. When
// ordered to, its next update holds the lock until it is killed, or told to settle.

import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { watcherEntry } from './entry.mjs'
import { orders, settings, tell, tellReport } from './link.mjs'
import { participant } from './participant.mjs'

if (settings.etcd) {
	const { configure } = await import('argus-registry-etcd')
	configure(settings.path, settings.etcd)
}
const entry = watcherEntry(settings, tellReport)
const update = participant(settings, tellReport)

/** Bounded, so that it does not outlive a playground that can't kill it any more. */
const LONGEST_BLOCK_MS = 60_000

const { bun } = process.versions
const runtime = bun ? `Bun ${bun}` : `Node ${process.versions.node}`

let { updateMs } = settings
let ordered
let leaving = false

const holds = {
	waiting: (settled) => settled,
	blocked: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LONGEST_BLOCK_MS),
	// One update after the other: whenever the kill comes, it hits one.
	committing: () => {
		updateMs = 0
	},
}

const holdAsOrdered = async ({ sequence, insideAt }) => {
	const how = ordered
	ordered = undefined
	const settled = once(orders, 'settle')
	await tell('holding', { sequence, insideAt })
	await holds[how](settled)
}

const lookAndHold = async (registry, report) => {
	report.sighting = entry.sighting(registry)
	if (ordered) await holdAsOrdered(report)
}

orders.on('hold', ({ how }) => {
	ordered = how
})
orders.on('leave', () => {
	leaving = true
})

const started = once(orders, 'start')
await tell('ready', { runtime })
await started
await entry.enter()
while (!leaving) {
	await delay(updateMs)
	await update('update', lookAndHold)
}
await entry.leave()
process.disconnect()
