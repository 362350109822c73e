// The account of a run on etcd: what was acknowledged against what is in the registry.

import { latencyOf, settleUpdates } from '../account.mjs'

const problemsOf = (facts) => {
	const list = (ids) => [...new Set(ids)].join(', ')
	const { dropped, duplicates, failed, frozen, lostBeats, resurrected, taken, wronglyPruned } =
		facts
	const checks = [
		[facts.lost, `acknowledged updates lost: ${facts.lost}`],
		[
			facts.unexplained,
			`updates in the registry that were never acknowledged: ${facts.unexplained}`,
		],
		[lostBeats, `acknowledged beats that the registry did not have: ${lostBeats}`],
		[duplicates.length, `ids that two watchers had at once: ${list(duplicates)}`],
		[dropped.length, `entries dropped: ${list(dropped)}`],
		[taken.length, `entries that became another watcher's: ${list(taken)}`],
		[resurrected.length, `entries back after they were removed: ${list(resurrected)}`],
		[wronglyPruned.length, `entries gone of watchers that beat: ${list(wronglyPruned)}`],
		[facts.overlaps, `updates that saw the same registry as another one: ${facts.overlaps}`],
		[frozen && !frozen.wasTold, 'the frozen watcher was not told that its entry was gone'],
		[
			failed.length,
			`updates and operations failed: ${failed.length}, the first with ${failed[0]?.error}`,
		],
	]
	return checks.filter(([isBad]) => isBad).map(([, text]) => text)
}

const keyOf = ({ id, pid, startedAt }) => JSON.stringify([id, pid, startedAt])

/**
 * The ends of entries whose watchers were told that they are gone, and had not renewed them for as long as their lease:
 * a busy machine may keep a watcher from its beats. As reports of what etcd has done.
 */
const lapsesOf = (reports, leaseMs) => {
	const ended = new Set(
		reports.flatMap(({ pruned }) => (pruned ?? []).map(({ watcher }) => keyOf(watcher))),
	)
	const renewals = new Map()
	for (const report of reports) {
		const isRenewal = ['claim', 'beat'].includes(report.what) && !report.error
		if (isRenewal) renewals.set(keyOf(report.claim), report)
	}
	return reports
		.filter(({ isLost, claim }) => isLost && !ended.has(keyOf(claim)))
		.flatMap(({ claim, endedAt }) => {
			const { startedAt, beats = 0 } = renewals.get(keyOf(claim))
			if (endedAt - startedAt <= leaseMs) return []
			const pruned = [{ id: claim.id, watcher: { ...claim, beats }, reason: 'lease' }]
			return [{ id: 'etcd', what: 'prune', startedAt: startedAt + leaseMs, endedAt, pruned }]
		})
}

/** What a run shows, as plain data; `problems` is empty if all is well. */
export const settleEtcdAccount = ({ runtime, servers, watchers, leaseMs, ...run }) => {
	const { freeze, kills, outages } = run
	const reports = [...run.reports, ...lapsesOf(run.reports, leaseMs)]
	const {
		acknowledged,
		gone,
		facts: shared,
	} = settleUpdates({
		...run,
		reports,
		ttlMs: leaseMs,
	})
	const facts = {
		runtime,
		servers,
		watchers,
		...shared,
		kills: kills.map(({ hold }) => ({ victim: hold.id, gone: gone[hold.id] })),
		outages,
		frozen: freeze && {
			...freeze,
			wasTold: reports.some(({ id, isLost }) => isLost && id === freeze.id),
		},
		latency: latencyOf(acknowledged),
	}
	return { ...facts, problems: problemsOf(facts) }
}
