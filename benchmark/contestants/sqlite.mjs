// better-sqlite3, as a program would use it for these watchers: a row per watcher, one of which is read
// and updated in an IMMEDIATE transaction, in WAL mode, with this package's timeout of 2 s. Durable is
// `synchronous = FULL`, which syncs at every commit. Otherwise it is OFF: the update survives the crash
// of a process and not a power failure, as with this package. OFF is SQLite's fastest (NORMAL syncs at
// checkpoints).

import { createRequire } from 'node:module'
import { checkedWatchers } from '../registry-file.mjs'

const Database = createRequire(import.meta.url)('better-sqlite3')

const open = (path, durable = false) => {
	const database = new Database(`${path}.sqlite`, { timeout: 2_000 })
	database.pragma('journal_mode = WAL')
	database.pragma(`synchronous = ${durable ? 'FULL' : 'OFF'}`)
	return database
}

export const prepare = (path, registry) => {
	const database = open(path)
	database.exec('CREATE TABLE watchers (id TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID')
	const insert = database.prepare('INSERT INTO watchers VALUES (?, ?)')
	database.transaction(() => {
		for (const [id, record] of Object.entries(registry.watchers)) {
			insert.run(id, JSON.stringify(record))
		}
	})()
	database.close()
}

/** As in a program that runs for long: each file is opened once, and its statements are prepared. */
const opened = (connect) => {
	const known = new Map()
	return (path) => {
		if (!known.has(path)) known.set(path, connect(path))
		return known.get(path)
	}
}

export const create = ({ durable }) => {
	const updateOf = opened((path) => {
		const database = open(path, durable)
		const select = database.prepare('SELECT record FROM watchers WHERE id = ?').pluck()
		const change = database.prepare('UPDATE watchers SET record = ? WHERE id = ?')
		return database.transaction((beat) => {
			change.run(JSON.stringify(beat.inRecord(JSON.parse(select.get(beat.id)))), beat.id)
		}).immediate
	})
	return Object.assign((path, beat) => updateOf(path)(beat), { connect: updateOf })
}

export const createReader = () => {
	const readOf = opened((path) => open(path).prepare('SELECT record FROM watchers').pluck())
	return (path) =>
		checkedWatchers(
			readOf(path)
				.all()
				.map((record) => JSON.parse(record)).length,
		)
}

export const countBeats = (path) => {
	const database = open(path)
	const records = database.prepare('SELECT record FROM watchers').pluck().all()
	database.close()
	return records.reduce((sum, record) => sum + JSON.parse(record).beats, 0)
}

export const hold = (path, whenHeld) => {
	open(path).exec('BEGIN IMMEDIATE')
	whenHeld()
}
