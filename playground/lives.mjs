// The account of the entries. Every claim begins a life, which ends once: its watcher removes the
// entry, or it is pruned. What was acknowledged of a life is held against what the file had.

const keyOf = ({ id, pid, startedAt }) => JSON.stringify([id, pid, startedAt])

const isEntryOf = ({ claim }, entry) =>
	entry?.pid === claim.pid && entry.startedAt === claim.startedAt

/** Of each acknowledged claim, all that was done to its entry, and all that was seen of it. */
const livesOf = ({ reports, kills, registry, opening }) => {
	const killedAt = new Map(kills.map(({ hold }) => [hold.id, hold.releasedAt]))
	const begin = ({ id, claim, startedAt, endedAt }) => ({
		watcher: id,
		claim,
		startedAt,
		endedAt,
		killedAt: killedAt.get(id) ?? Number.POSITIVE_INFINITY,
		beats: [],
		isLost: false,
		leave: undefined,
		prunes: [],
		sightings: [],
		remains: false,
	})
	const lives = new Map()
	for (const report of reports) {
		if (report.what === 'claim' && !report.error) lives.set(keyOf(report.claim), begin(report))
	}
	const note = ({ what, claim, error, isLost, sighting, pruned, ...report }) => {
		const life = claim && lives.get(keyOf(claim))
		if (isLost) life.isLost = true
		if (what === 'beat' && !error) life.beats.push(report)
		if (what === 'leave' && !error) life.leave = report
		if (sighting) lives.get(keyOf(sighting.claim)).sightings.push({ ...sighting, ...report })
		for (const { watcher, reason } of pruned ?? []) {
			lives.get(keyOf(watcher))?.prunes.push({ watcher, reason, ...report })
		}
	}
	for (const report of reports) note(report)
	for (const sighting of opening) lives.get(keyOf(sighting.claim)).sightings.push(sighting)
	for (const entry of Object.values(registry.watchers)) {
		const life = lives.get(keyOf(entry))
		if (life) life.remains = true
	}
	return [...lives.values()]
}

/** How often its entry was removed, which should be once. */
const endsOf = ({ leave, prunes }) => (leave ? [leave, ...prunes] : prunes)

/** Whether both had the id at once, for sure: an end may have come at any time since it began. */
const overlap = (one, other) => {
	const endOf = (life) => Math.min(life.killedAt, ...endsOf(life).map(({ startedAt }) => startedAt))
	return endOf(one) >= other.endedAt && endOf(other) >= one.endedAt
}

const isDuplicate = (life, index, lives) =>
	lives.slice(0, index).some((other) => other.claim.id === life.claim.id && overlap(life, other))

/** What the file had of a watcher's beats, where it had fewer than were acknowledged by then. */
const lostBeatsOf = (life) => {
	const last = life.beats.at(-1)?.beats ?? 0
	const seen = [
		...life.sightings.filter(({ entry }) => isEntryOf(life, entry)),
		...life.prunes.map(({ watcher }) => ({ entry: watcher, acknowledged: last })),
	]
	return seen.filter(({ entry, acknowledged }) => entry.beats < acknowledged).length
}

/** Whether anything of it was seen after its entry had been removed. */
const isBack = (life) => {
	const ends = endsOf(life)
	if (ends.length === 0) return false
	const removedAt = Math.min(...ends.map(({ endedAt }) => endedAt))
	const seenAt = [
		...[...life.beats, ...life.prunes].map(({ startedAt }) => startedAt),
		...life.sightings.filter(({ entry }) => isEntryOf(life, entry)).map(({ insideAt }) => insideAt),
	]
	return life.remains || seenAt.some((at) => at > removedAt)
}

/** Whether a prune took the entry of a watcher that lived, and that was in time for sure. */
const isWronglyPruned = ({ startedAt, endedAt, beats, killedAt, leave, prunes }, ttlMs) =>
	prunes.some((prune) => {
		const hadGone = killedAt < prune.endedAt || leave?.startedAt < prune.endedAt
		const isInTime = (renewal) =>
			renewal.endedAt < prune.startedAt && prune.endedAt - renewal.startedAt <= ttlMs
		return (
			!hadGone && (prune.reason === 'dead' || [{ startedAt, endedAt }, ...beats].some(isInTime))
		)
	})

/** Whether a watcher missed its entry, which no process had pruned. */
const isDropped = ({ isLost, prunes, sightings }) =>
	prunes.length === 0 && (isLost || sightings.some(({ entry }) => !entry))

/** Whether a watcher found another's entry under its id, though its own had not been pruned. */
const isTaken = (life) =>
	life.prunes.length === 0 && life.sightings.some(({ entry }) => entry && !isEntryOf(life, entry))

const goneOf = ({ killedAt, prunes: [first] }) =>
	first && { ms: first.endedAt - killedAt, reason: first.reason }

/**
 * What became of the entries. `opening` is what the file had of each watcher when all had claimed
 * one. `looks` is how often a watcher looked for its own; `gone` is how the entry of each that was
 * killed went, and how long after the kill.
 */
export const settleEntries = ({ ttlMs, ...run }) => {
	const lives = livesOf(run)
	const idsOf = (list) => list.map(({ claim }) => claim.id)
	const killed = lives.filter(({ killedAt }) => killedAt < Number.POSITIVE_INFINITY)
	return {
		announced: new Set(lives.map(({ watcher }) => watcher)).size,
		left: lives.filter(({ leave }) => leave).length,
		pruned: lives.flatMap((life) => life.prunes.map(() => life.claim.id)),
		beats: lives.reduce((total, { beats }) => total + beats.length, 0),
		looks: lives.reduce((total, { sightings }) => total + sightings.length, 0),
		lostBeats: lives.reduce((total, life) => total + lostBeatsOf(life), 0),
		duplicates: idsOf(lives.filter(isDuplicate)),
		dropped: idsOf(lives.filter(isDropped)),
		taken: idsOf(lives.filter(isTaken)),
		resurrected: idsOf(lives.filter(isBack)),
		wronglyPruned: idsOf(lives.filter((life) => isWronglyPruned(life, ttlMs))),
		gone: Object.fromEntries(killed.map((life) => [life.watcher, goneOf(life)])),
	}
}
