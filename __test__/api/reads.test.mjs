// The calls that read a file, and that look at its lock.

import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { inspectLock, readRegistrySync } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { held, leaveOldLockfile } from '../support/locks.mjs'

test('inspectLock looks without touching: nothing is created, a stale lockfile keeps its date', async (t) => {
	const at = folder(t)
	assert.deepEqual(await inspectLock(at.path), {
		path: at.path,
		state: 'free',
		// There a folder can't be locked to find out.
		guarantee: process.platform === 'win32' ? 'unknown' : 'kernel-lock',
	})
	assert.deepEqual(at.others(), [])
	assert.equal(existsSync(at.guard), false)
	leaveOldLockfile(at, -86_400)
	const before = statSync(at.lockfile).mtimeMs
	assert.equal((await inspectLock(at.path)).state, 'held')
	assert.equal(statSync(at.lockfile).mtimeMs, before)
	assert.equal((await inspectLock(`${at.dir}/no/registry.json`)).guarantee, 'unknown')
})

test('reading never locks: a holder does not delay it', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const { settle, done } = await held(at)
	assert.deepEqual(readRegistrySync(at.path).warnings, [])
	settle()
	await done
})
