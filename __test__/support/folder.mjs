// A temporary folder with a registry path in it.

import {
	chmodSync,
	existsSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	realpathSync,
	rmSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanUp } from './cleanup.mjs'
import { addonPath } from './install.mjs'
import { pidScope } from './pid-scope.mjs'

/**
 * Deno's workers may still do their last update when they count as terminated. On Windows what this process has open may
 * stay: an addon that it has loaded, and, where a deleted file keeps its name until it is closed, the entries that it
 * has claimed.
 */
const removeWhole = (dir) => {
	for (let tries = 1; ; tries += 1) {
		try {
			return rmSync(dir, { recursive: true, force: true })
		} catch (error) {
			const isInUse = error.path?.endsWith('.node') || error.code === 'ENOTEMPTY'
			if (process.platform === 'win32' && isInUse) return
			if (error.code !== 'ENOTEMPTY' || tries === 1_000) throw error
		}
	}
}

/** Removed with the test. */
export const folder = (t, parent = tmpdir()) => {
	const dir = realpathSync(mkdtempSync(join(parent, 'argus-registry-')))
	cleanUp(t, () => {
		// A test may have made it read-only.
		chmodSync(dir, 0o755)
		removeWhole(dir)
	})
	const path = join(dir, 'registry.json')
	return {
		dir,
		path,
		lockfile: `${path}.lock`,
		guard: `${path}.guard`,
		text: () => readFileSync(path, 'utf8'),
		json: () => JSON.parse(readFileSync(path, 'utf8')),
		ids: () => Object.keys(JSON.parse(readFileSync(path, 'utf8')).watchers),
		put: (text) => writeFileSync(path, text),
		/** The names beside the registry and its guard. */
		others: () =>
			readdirSync(dir).filter((name) => !['registry.json', 'registry.json.guard'].includes(name)),
	}
}

export const EMPTY = { version: 1, updatedAt: 0, watchers: {} }

export const print = (value) => JSON.stringify(value, null, 2)

/**
 * Takes the next lock of this thread away, between its reading and its writing, also from calls
 * that run no code of their caller: the thread asks the addon for the text when it has the lock. Returns a
 * function that says whether that has happened.
 */
export const lockTakenOnce = (t, at, takeOver = () => {}) => {
	let taken = false
	const { prototype } = createRequire(addonPath)(addonPath).LockHandle
	const { text } = prototype
	cleanUp(t, () => {
		prototype.text = text
	})
	prototype.text = function () {
		if (!taken && existsSync(at.lockfile)) {
			taken = true
			unlinkSync(at.lockfile)
			takeOver()
		}
		return text.call(this)
	}
	return () => taken
}

/** A watcher of this process, or of one beside it, just started, as it has entered itself. */
export const record = (id, more) => {
	const now = Date.now()
	const watcher = { id, host: '127.0.0.1', port: 9222, pid: process.pid, startedAt: now }
	return { ...watcher, updatedAt: now, pidScope: pidScope(more?.pid), ...more }
}
