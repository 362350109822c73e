// Reads without the lock all the time, and removes the entries of watchers that stopped beating.

import { setTimeout as delay } from 'node:timers/promises'
import { readRegistry } from '../index.js'
import { orders, settings, tell, tellReport } from './link.mjs'
import { participant } from './participant.mjs'

const { path, pruneMs, ttlMs } = settings
const update = participant(settings, tellReport)

let finishing = false
orders.on('finish', () => {
	finishing = true
})

const expired = ({ watchers }) =>
	Object.keys(watchers).filter((id) => watchers[id].updatedAt < Date.now() - ttlMs)

const prune = (registry, report) => {
	// Once more, under the lock: a watcher may have come back since the read.
	report.pruned = expired(registry)
	for (const id of report.pruned) delete registry.watchers[id]
}

const reads = { count: 0, torn: 0, backwards: 0 }
let sequence = 0

const read = async () => {
	const { registry, warnings } = await readRegistry(path)
	reads.count += 1
	if (warnings.length > 0) {
		reads.torn += 1
		return registry
	}
	if (registry.playground.sequence < sequence) reads.backwards += 1
	sequence = registry.playground.sequence
	return registry
}

for (;;) {
	const registry = await read()
	if (expired(registry).length > 0) await update('prune', prune)
	if (finishing && Object.keys(registry.watchers).length === 0) break
	await delay(pruneMs)
}
await tell('done', { reads })
process.disconnect()
