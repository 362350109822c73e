// The registry that is benchmarked, as argus writes it: a watcher per process, and at least ten
// (2.5 KB). Each update adds one to its watcher's `beats`, so a lost update shows in their sum.

import { readFileSync, writeFileSync } from 'node:fs'

export const WATCHERS = 10

const watcher = (index, now) => ({
	id: `watcher-${index}`,
	host: '127.0.0.1',
	port: 9300 + (index % 50_000),
	pid: 40_000 + index,
	startedAt: now,
	updatedAt: now,
	match: { url: `localhost:${5170 + index}` },
	beats: 0,
})

export const freshRegistry = (count = WATCHERS) => {
	const now = Date.now()
	const records = Array.from({ length: Math.max(count, WATCHERS) }, (_, i) => watcher(i, now))
	return {
		version: 1,
		updatedAt: now,
		watchers: Object.fromEntries(records.map((record) => [record.id, record])),
	}
}

/** A heartbeat as argus does it: a new object, with the old one unchanged. */
export const beatOf = (index) => {
	const id = `watcher-${index}`
	const inRecord = (record) => ({ ...record, updatedAt: Date.now(), beats: record.beats + 1 })
	const inRegistry = (registry) => ({
		...registry,
		updatedAt: Date.now(),
		watchers: { ...registry.watchers, [id]: inRecord(registry.watchers[id]) },
	})
	return { id, inRecord, inRegistry }
}

const parse = (path) => JSON.parse(readFileSync(path, 'utf8'))

/**
 * For the operations on entries, which take a whole record: each watcher keeps its own record, with
 * its `beats`. `send` gets the path and the next record.
 */
export const countingBeats = (send) => {
	const records = new Map()
	return async (path, beat) => {
		// The record that is in the file at the beginning, so that the entry stays this watcher's own.
		const last = records.get(path) ?? parse(path).watchers[beat.id]
		records.set(path, beat.inRecord(last))
		try {
			await send(path, records.get(path))
		} catch (error) {
			records.set(path, last)
			throw error
		}
	}
}

/** The crate's program counts in `match`, as its type for a record has no field `beats`. */
const beatsIn = (watchers) =>
	Object.values(watchers).reduce((sum, { beats, match }) => sum + beats + (match?.beats ?? 0), 0)

export const checkedWatchers = (count, expected = WATCHERS) => {
	if (count < expected) throw Object.assign(new Error('a part is missing'), { code: 'TORN' })
}

/** For contestants that keep the registry in a JSON file. */
export const jsonFile = {
	prepare: (path, registry) => writeFileSync(path, JSON.stringify(registry, null, 2)),
	/** How many heartbeats are in the file. NaN if it is no registry any more. */
	countBeats: (path) => {
		try {
			return beatsIn(parse(path).watchers)
		} catch {
			return Number.NaN
		}
	},
}
