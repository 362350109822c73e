// Counted updates. Every update leaves a trace in the file that its process can be held to: a
// count of its own, and a number in the order of all updates.

import * as locked from '../index.js'
import { clock } from './clock.mjs'
import { traceFor } from './trace.mjs'
import * as unlocked from './unlocked.mjs'

/**
 * The updates of one participant: `update(what, change)` resolves with a report, after `tell` got
 * it. The report has an `error` if the update failed; it is acknowledged if not.
 */
export const participant = ({ id, path, options, withoutLock }, tell) => {
	const { updateRegistry } = withoutLock ? unlocked : locked
	return async (what, change = () => {}) => {
		const report = { id, pid: process.pid, what, runs: 0, startedAt: clock() }
		const updater = async (registry) => {
			report.runs += 1
			report.insideAt = clock()
			const trace = traceFor(registry, path)
			trace.sequence += 1
			trace.counts[id] = (trace.counts[id] ?? 0) + 1
			report.sequence = trace.sequence
			await change(registry, report)
			registry.updatedAt = Date.now()
			return registry
		}
		try {
			await updateRegistry(path, updater, options)
		} catch (error) {
			report.error = String(error)
		}
		report.endedAt = clock()
		await tell(report)
		return report
	}
}
