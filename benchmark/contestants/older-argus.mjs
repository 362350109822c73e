// The JavaScript lock that argus has without this package, to the letter and with its flaws. Its pauses are argus's own, 25 to 225 ms. It replaces files by renaming, as
// argus does, and never syncs them.

import { open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { jsonFile } from '../registry-file.mjs'

export { createReader } from './plain-reader.mjs'
export const { prepare, countBeats } = jsonFile

const WAIT_MS = 2_000
const STALE_MS = 10_000
const FIRST_PAUSE_MS = 25
const LONGEST_PAUSE_MS = 200

const tryCreate = async (lockPath) => {
	try {
		const handle = await open(lockPath, 'wx')
		await handle.close()
		return true
	} catch (error) {
		if (error.code === 'EEXIST') return false
		throw error
	}
}

/** Whether the lockfile may be gone now, so that creating it is worth another try. */
const removeIfStale = async (lockPath) => {
	try {
		const { mtimeMs } = await stat(lockPath)
		if (Date.now() - mtimeMs <= STALE_MS) return false
		await unlink(lockPath)
	} catch (error) {
		if (error.code !== 'ENOENT') throw error
	}
	return true
}

const acquire = async (lockPath) => {
	const deadline = Date.now() + WAIT_MS
	for (let attempt = 1; ; ) {
		if (await tryCreate(lockPath)) return
		if (Date.now() >= deadline) {
			const message = `${lockPath} was held for over ${WAIT_MS} ms`
			throw Object.assign(new Error(message), { code: 'ELOCKED' })
		}
		if (await removeIfStale(lockPath)) continue
		const pause = Math.min(FIRST_PAUSE_MS * attempt, LONGEST_PAUSE_MS)
		await sleep(pause + Math.random() * FIRST_PAUSE_MS)
		attempt += 1
	}
}

const release = async (lockPath) => {
	try {
		await unlink(lockPath)
	} catch (error) {
		if (error.code !== 'ENOENT') throw error
	}
}

const writeAtomically = async (path, text) => {
	const temp = `${path}.tmp-${process.pid}-${Date.now()}`
	await writeFile(temp, text)
	await rename(temp, path)
}

export const create = () => async (path, beat) => {
	const lockPath = `${path}.lock`
	await acquire(lockPath)
	try {
		const next = beat.inRegistry(JSON.parse(await readFile(path, 'utf8')))
		await writeAtomically(path, JSON.stringify(next, null, 2))
	} finally {
		await release(lockPath)
	}
}

/** Like a process of an older argus: its lockfile is there, and fresh. */
export const hold = async (path, whenHeld) => {
	await acquire(`${path}.lock`)
	whenHeld()
}
