// Reads without the lock all the time, and prunes the entries of watchers that are dead, or that
// stopped beating.

import { setTimeout as delay } from 'node:timers/promises'
import * as locked from '../index.js'
import { clock } from './clock.mjs'
import { orders, settings, tell, tellReport } from './link.mjs'
import { traceIn, watcherIds } from './trace.mjs'
import * as unlocked from './unlocked.mjs'

const { id, path, options, pruneMs, ttlMs, withoutLock } = settings
const { pruneStaleWatchers } = withoutLock ? unlocked : locked

let finishing = false
orders.on('finish', () => {
	finishing = true
})

const prune = async () => {
	const report = { id, what: 'prune', startedAt: clock() }
	try {
		report.pruned = await pruneStaleWatchers(path, { ...options, ttlMs, liveness: true })
	} catch (error) {
		report.error = String(error)
	}
	report.endedAt = clock()
	// With nothing to prune it took no lock.
	if (report.error || report.pruned.length > 0) await tellReport(report)
}

const reads = { count: 0, torn: 0, backwards: 0 }
let sequence = 0

const read = async () => {
	const { registry, warnings } = await locked.readRegistry(path)
	reads.count += 1
	if (warnings.length > 0) {
		reads.torn += 1
		return registry
	}
	// The first counted update may be yet to come.
	const { sequence: current = 0 } = traceIn(registry) ?? {}
	if (current < sequence) reads.backwards += 1
	sequence = current
	return registry
}

for (;;) {
	const registry = await read()
	await prune()
	if (finishing && watcherIds(registry).length === 0) break
	await delay(pruneMs)
}
await tell('done', { reads })
process.disconnect()
