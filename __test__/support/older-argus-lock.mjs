// A lock as older argus versions have it, for tests of living beside them: an empty lockfile,
// created exclusively, stale when its mtime is over 10 s old, deleted without a check on release.

import { open, readFile, rename, stat, unlink, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'

const TIMEOUT_MS = 2_000
const STALE_MS = 10_000
const BASE_RETRY_MS = 25

const removeIfStale = async (lockPath, staleMs) => {
	try {
		const { mtimeMs } = await stat(lockPath)
		if (Date.now() - mtimeMs <= staleMs) return false
		await unlink(lockPath)
	} catch {
		// Gone meanwhile: try again.
	}
	return true
}

export const acquireOlderArgusLock = async (
	path,
	{ timeoutMs = TIMEOUT_MS, staleMs = STALE_MS } = {},
) => {
	const lockPath = `${path}.lock`
	const deadline = Date.now() + timeoutMs
	for (let attempt = 1; Date.now() < deadline; attempt += 1) {
		try {
			await (await open(lockPath, 'wx')).close()
			return () => unlink(lockPath).catch(() => {})
		} catch (error) {
			if (error.code !== 'EEXIST') throw error
		}
		if (await removeIfStale(lockPath, staleMs)) continue
		await delay(Math.min(BASE_RETRY_MS * attempt, 200) + Math.random() * BASE_RETRY_MS)
	}
	throw new Error(`no lock after ${timeoutMs} ms: ${lockPath}`)
}

export const updateWithOlderArgusLock = async (path, updater, options) => {
	const release = await acquireOlderArgusLock(path, options)
	try {
		const registry = JSON.parse(await readFile(path, 'utf8'))
		const next = await updater(registry)
		const temp = `${path}.${process.pid}.older`
		await writeFile(temp, JSON.stringify(next, null, 2))
		await rename(temp, path)
	} finally {
		await release()
	}
}
