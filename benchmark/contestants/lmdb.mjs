// lmdb, as a program would use it for these watchers: a key per watcher, one of which is read and
// written in a synchronous transaction. Durable, the transaction syncs before it returns; lmdb's
// default, `overlappingSync`, would return before that. Otherwise `noSync`: the update survives the
// crash of a process and not a power failure, as with this package. lmdb waits for its lock without a
// limit.

import { createRequire } from 'node:module'
import { checkedWatchers } from '../registry-file.mjs'

const lmdb = createRequire(import.meta.url)('lmdb')

const open = (path, durable = false) => {
	const sync = durable ? { overlappingSync: false } : { noSync: true, overlappingSync: false }
	return lmdb.open({ path: `${path}.mdb`, encoding: 'json', ...sync })
}

export const prepare = async (path, registry) => {
	const database = open(path)
	database.transactionSync(() => {
		for (const [id, record] of Object.entries(registry.watchers)) database.putSync(id, record)
	})
	await database.close()
}

const opened = (durable) => {
	const known = new Map()
	return (path) => {
		if (!known.has(path)) known.set(path, open(path, durable))
		return known.get(path)
	}
}

export const create = ({ durable }) => {
	const databaseOf = opened(durable)
	const update = (path, beat) => {
		const database = databaseOf(path)
		database.transactionSync(() => {
			database.putSync(beat.id, beat.inRecord(database.get(beat.id)))
		})
	}
	return Object.assign(update, { connect: databaseOf })
}

/** For concurrent calls, which lmdb commits together. */
export const createConcurrent = ({ durable }) => {
	const databaseOf = opened(durable)
	return (path, beat) => {
		const database = databaseOf(path)
		return database.transaction(() => {
			database.put(beat.id, beat.inRecord(database.get(beat.id)))
		})
	}
}

export const createReader = () => {
	const databaseOf = opened(false)
	return (path) => checkedWatchers([...databaseOf(path).getRange()].length)
}

export const countBeats = (path) => {
	let sum = 0
	const database = open(path)
	for (const { value } of database.getRange()) sum += value.beats
	database.close()
	return sum
}

export const hold = (path, whenHeld) => {
	open(path).transactionSync(() => {
		whenHeld()
		Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
	})
}
