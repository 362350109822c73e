// The registry that is benchmarked: ten watchers, about 2.5 KB, as argus writes it.

import { readFileSync, writeFileSync } from 'node:fs'

const WATCHERS = 10

const watcherId = (index) => `watcher-${index % WATCHERS}`

const watcher = (index, now) => ({
	id: watcherId(index),
	host: '127.0.0.1',
	port: 9300 + index,
	pid: 40_000 + index,
	startedAt: now,
	updatedAt: now,
	match: { url: `localhost:${5170 + index}` },
	beats: 0,
})

export const writeFreshRegistry = (path, count = WATCHERS) => {
	const now = Date.now()
	const records = Array.from({ length: count }, (_, index) => watcher(index, now))
	const watchers = records.map((record, index) => ({ ...record, id: `watcher-${index}` }))
	const registry = {
		version: 1,
		updatedAt: now,
		watchers: Object.fromEntries(watchers.map((record) => [record.id, record])),
	}
	writeFileSync(path, JSON.stringify(registry, null, 2))
}

const readWatcher = (path, index) =>
	JSON.parse(readFileSync(path, 'utf8')).watchers[watcherId(index)]

/** A heartbeat, the way argus does it: a new object, the old one untouched. */
export const heartbeat = (index) => {
	const id = watcherId(index)
	return (registry) => {
		const now = Date.now()
		const record = registry.watchers[id]
		const next = { ...record, updatedAt: now, beats: record.beats + 1 }
		return { ...registry, updatedAt: now, watchers: { ...registry.watchers, [id]: next } }
	}
}

/** The same for the entry operations: the next record of one watcher, which counts its own beats. */
export const beats = (index) => {
	const records = new Map()
	return (path) => {
		// What the file begins with, so that the entry is this watcher's own.
		const last = records.get(path) ?? readWatcher(path, index)
		const next = { ...last, beats: last.beats + 1 }
		records.set(path, next)
		return next
	}
}

/** How many heartbeats have reached the file; NaN if it is no registry any more. */
export const countBeats = (path) => {
	try {
		const { watchers } = JSON.parse(readFileSync(path, 'utf8'))
		return Object.values(watchers).reduce((sum, { beats }) => sum + beats, 0)
	} catch {
		return Number.NaN
	}
}
