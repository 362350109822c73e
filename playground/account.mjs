// The account of a run: what was acknowledged against what is in the file.

import { settleEntries } from './lives.mjs'
import { traceIn } from './trace.mjs'

/** Counted updates have a number in the order of all; operations on entries don't. */
export const isUpdate = ({ what }) => what === 'update' || what === 'look'

/** The smallest value that `share` of all values do not exceed. */
const percentile = (sorted, share) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]

export const latencyOf = (reports) => {
	const sorted = reports.map(({ startedAt, endedAt }) => endedAt - startedAt).sort((a, b) => a - b)
	return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) }
}

const countBy = (values) => {
	const counts = new Map()
	for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
	return counts
}

/**
 * Per process: acknowledged, found, lost. A killed process may have committed its last update
 * without living to tell, so one more than acknowledged is right there, and nowhere else.
 */
const balance = (acknowledged, counts, killed) => {
	const told = countBy(acknowledged.map(({ id }) => id))
	const ids = [...new Set([...told.keys(), ...Object.keys(counts)])]
	return ids.map((id) => {
		const [owed, found] = [told.get(id) ?? 0, counts[id] ?? 0]
		return {
			id,
			acknowledged: owed,
			found,
			lost: Math.max(0, owed - found),
			unexplained: Math.max(0, found - owed - (killed.has(id) ? 1 : 0)),
		}
	})
}

/** Whether an operation on entries changed the file; it tells nothing of when it had the lock. */
const hasChanged = ({ error, what, pruned }) =>
	!error && (['claim', 'beat', 'leave'].includes(what) || pruned?.length > 0)

/** What others got done between a hold's beginning and its end. */
const intrudersOn = ({ id, insideAt, releasedAt }, reports) =>
	reports.filter((report) => {
		if (report.id === id) return false
		if (isUpdate(report)) return report.insideAt > insideAt && report.insideAt < releasedAt
		return hasChanged(report) && report.startedAt > insideAt && report.endedAt < releasedAt
	}).length

/** Two acknowledged updates with one number saw the same file: both held the lock. */
const overlapsIn = (acknowledged) =>
	acknowledged.length - new Set(acknowledged.map(({ sequence }) => sequence)).size

const sum = (rows, key) => rows.reduce((total, row) => total + row[key], 0)

const problemsOf = (facts) => {
	const { dropped, duplicates, failed, freeze, kills, reads } = facts
	const { lostBeats, resurrected, taken, wronglyPruned } = facts
	const list = (ids) => [...new Set(ids)].join(', ')
	const intruders = sum(kills, 'intruders')
	const checks = [
		[facts.lost, `acknowledged updates lost: ${facts.lost}`],
		[facts.unexplained, `updates in the file that were never acknowledged: ${facts.unexplained}`],
		[lostBeats, `acknowledged beats that the file did not have: ${lostBeats}`],
		[duplicates.length, `ids that two watchers had at once: ${list(duplicates)}`],
		[dropped.length, `entries dropped: ${list(dropped)}`],
		[taken.length, `entries that became another watcher's: ${list(taken)}`],
		[resurrected.length, `entries back after they were removed: ${list(resurrected)}`],
		[wronglyPruned.length, `entries pruned of watchers that beat: ${list(wronglyPruned)}`],
		[facts.overlaps, `updates that saw the same file as another one: ${facts.overlaps}`],
		[intruders, `changes that got in while a victim held the lock: ${intruders}`],
		[kills.some(({ ms }) => ms === null), 'no process took over from a killed holder'],
		[freeze?.robbed, 'the frozen holder was robbed'],
		[reads.torn, `reads that found no registry: ${reads.torn}`],
		[reads.backwards, `reads older than the one before: ${reads.backwards}`],
		[
			failed.length,
			`updates and operations failed: ${failed.length}, the first with ${failed[0]?.error}`,
		],
	]
	return checks.filter(([isBad]) => isBad).map(([, text]) => text)
}

const judgeFreeze = ({ hold, report, held, ...freeze }, reports) => {
	const intruders = intrudersOn(hold, reports)
	const acknowledged = !report.error
	// Run again, or under another number: the hold it had been given was not its own any more.
	const kept = held && report.runs === 1 && report.sequence === hold.sequence
	const waited = reports
		.filter(isUpdate)
		.filter(
			({ id, startedAt, endedAt }) =>
				id !== hold.id && startedAt < hold.releasedAt && endedAt > hold.releasedAt,
		).length
	return {
		...freeze,
		ms: hold.releasedAt - freeze.frozenAt,
		acknowledged,
		intruders,
		waited,
		robbed: !acknowledged || !kept || intruders > 0,
	}
}

/**
 * What a run on any store shows of its updates and entries: the acknowledged updates, which victims' entries are
 * gone, and the facts.
 */
export const settleUpdates = ({ kills, opening, registry, reports, ttlMs }) => {
	const killed = new Set(kills.map(({ hold }) => hold.id))
	const acknowledged = reports.filter((report) => isUpdate(report) && !report.error)
	const { gone, ...entries } = settleEntries({ kills, opening, registry, reports, ttlMs })
	const processes = balance(acknowledged, traceIn(registry)?.counts ?? {}, killed)
	const facts = {
		acknowledged: acknowledged.length,
		found: sum(processes, 'found'),
		lost: sum(processes, 'lost'),
		unexplained: sum(processes, 'unexplained'),
		...entries,
		// A lost entry is judged as such.
		failed: reports.filter(({ error, isLost }) => error && !isLost),
		overlaps: overlapsIn(acknowledged),
		processes,
	}
	return { acknowledged, gone, facts }
}

/** What a run shows, as plain data; `problems` is empty if all is well. */
export const settleAccount = ({ runtime, watchers, ttlMs, ...run }) => {
	const { freeze, kills, reads, reports } = run
	const { acknowledged, gone, facts: shared } = settleUpdates({ ...run, ttlMs })
	const calm = acknowledged.filter(
		({ startedAt, endedAt }) =>
			!freeze || endedAt < freeze.hold.insideAt || startedAt > freeze.hold.releasedAt,
	)
	const facts = {
		runtime,
		watchers,
		...shared,
		kills: kills.map(({ hold, how, by, ms }) => ({
			victim: hold.id,
			how,
			by,
			ms,
			gone: gone[hold.id],
			// Between its updates a victim that commits one after the other holds nothing.
			intruders: how === 'committing' ? 0 : intrudersOn(hold, reports),
		})),
		freeze: freeze && judgeFreeze(freeze, reports),
		reads,
		latency: latencyOf(acknowledged),
		calmLatency: latencyOf(calm),
	}
	return { ...facts, problems: problemsOf(facts) }
}
