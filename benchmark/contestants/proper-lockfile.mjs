// proper-lockfile with write-file-atomic, with about the timing of older argus's lock: it waits
// for 2 s with pauses of 25 to 225 ms, and a lock is stale after 10 s. write-file-atomic syncs the file
// and never its folder.

import { readFile } from 'node:fs/promises'
import properLockfile from 'proper-lockfile'
import writeFileAtomic from 'write-file-atomic'
import { jsonFile } from '../registry-file.mjs'

export { createReader } from './plain-reader.mjs'
export const { prepare, countBeats } = jsonFile

const options = {
	stale: 10_000,
	retries: {
		forever: true,
		maxRetryTime: 2_000,
		minTimeout: 25,
		maxTimeout: 200,
		randomize: true,
	},
}

export const create =
	({ durable }) =>
	async (path, beat) => {
		const release = await properLockfile.lock(path, options)
		try {
			const next = beat.inRegistry(JSON.parse(await readFile(path, 'utf8')))
			await writeFileAtomic(path, JSON.stringify(next, null, 2), { fsync: durable })
		} finally {
			await release()
		}
	}

export const hold = async (path, whenHeld) => {
	await properLockfile.lock(path, options)
	whenHeld()
}
