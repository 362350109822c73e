// Counted updates. Every update leaves a trace in the file that its process can be held to: a
// count of its own, and a number in the order of all updates. Unknown fields are kept, so the
// registry carries both.

import { readFile, rename, writeFile } from 'node:fs/promises'
import { createEmptyRegistry, updateRegistry } from '../index.js'

/** Milliseconds on the one clock that all processes of a machine share and nobody can set. */
export const clock = () => Number(process.hrtime.bigint()) / 1e6

const readOrEmpty = async (path) => {
	try {
		return JSON.parse(await readFile(path, 'utf8'))
	} catch (error) {
		if (error.code === 'ENOENT') return createEmptyRegistry()
		throw error
	}
}

/** Read, modify, replace in one step: all that is missing is the lock. */
const updateWithoutLock = async (path, updater) => {
	const next = await updater(await readOrEmpty(path))
	const temp = `${path}.${process.pid}`
	await writeFile(temp, JSON.stringify(next, null, 2))
	await rename(temp, path)
}

/**
 * The updates of one participant: `update(what, change)` resolves with a report, after `tell` got
 * it. The report has an `error` if the update failed; it is acknowledged if not.
 */
export const participant = ({ id, path, options, withoutLock }, tell) => {
	const run = withoutLock ? updateWithoutLock : updateRegistry
	return async (what, change = () => {}) => {
		const report = { id, pid: process.pid, what, runs: 0, startedAt: clock() }
		const updater = async (registry) => {
			report.runs += 1
			report.insideAt = clock()
			registry.playground ??= { sequence: 0, counts: {} }
			const { playground } = registry
			playground.sequence += 1
			playground.counts[id] = (playground.counts[id] ?? 0) + 1
			report.sequence = playground.sequence
			await change(registry, report)
			registry.updatedAt = Date.now()
			return registry
		}
		try {
			await run(path, updater, options)
		} catch (error) {
			report.error = String(error)
		}
		report.endedAt = clock()
		await tell(report)
		return report
	}
}
