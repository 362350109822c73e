// The lockfile: living beside old argus, and taking over what it abandoned.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, statSync, utimesSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { inspectLock, updateRegistry, updateRegistrySync } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { held, leaveOldLockfile } from '../support/locks.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet, puppets } from '../support/processes.mjs'
import { skipIf } from '../support/skip.mjs'
import { set } from '../support/updaters.mjs'

test('a fresh lockfile of old argus is waited for', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const old = puppet(t)
	old.start('holdOlderArgusLock', { path: at.path })
	await old.expect('holding')
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 100 }), (error) => {
		assert.equal(error.code, 'LOCK_TIMEOUT')
		assert.equal(error.holder.pid, undefined)
		assert.equal(error.holder.alive, null)
		return true
	})
	assert.throws(() => updateRegistrySync(at.path, set('x', 1), { timeoutMs: 0 }), {
		code: 'LOCK_BUSY',
	})
	assert.equal((await inspectLock(at.path)).state, 'held')
	const waiting = updateRegistry(at.path, set('x', 1), UP_TO_A_MINUTE)
	old.settle()
	await old.expect('done')
	await waiting
	assert.equal(at.json().x, 1)
})

test('an abandoned lockfile of old argus is taken over', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	leaveOldLockfile(at, 11)
	assert.equal((await inspectLock(at.path)).state, 'stale')
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
	assert.deepEqual(at.others(), [])
})

test('12 processes that meet one abandoned lockfile, 200 rounds: one holder at a time, nothing lost', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const all = puppets(t, 12)
	const marker = `${at.path}.marker`
	for (let round = 1; round <= 200; round += 1) {
		leaveOldLockfile(at, 11)
		for (const each of all)
			each.start('increment', { path: at.path, times: 1, marker, options: UP_TO_A_MINUTE })
		for (const each of all) await each.expect('done')
		assert.equal(at.json().count, 12 * round)
	}
	assert.deepEqual(at.others(), [])
})

test('a lockfile dated in the future ages like any other; one dated 1970 is abandoned', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	leaveOldLockfile(at, -86_400)
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), {
		code: 'LOCK_BUSY',
	})
	const age = Date.now() - statSync(at.lockfile).mtimeMs
	assert.ok(Math.abs(age) < 60_000, `it is dated now, not ${age} ms ago`)
	await updateRegistry(at.path, set('x', 1), { staleMs: 50, timeoutMs: 60_000 })
	assert.equal(at.json().x, 1)
	leaveOldLockfile(at, Date.now() / 1000)
	await updateRegistry(at.path, set('x', 2), { timeoutMs: 0 })
	assert.equal(at.json().x, 2)
})

test('no step of the clock makes a live holder of this package look abandoned', async (t) => {
	const at = folder(t)
	const { settle, done } = await held(at)
	const thief = puppet(t)
	for (const seconds of [0, 4_000_000_000]) {
		utimesSync(at.lockfile, seconds, seconds)
		thief.start('incrementSync', {
			path: at.path,
			times: 1,
			options: { timeoutMs: 50, staleMs: 1 },
		})
		assert.equal((await thief.expect('failed')).code, 'LOCK_TIMEOUT')
		assert.equal((await inspectLock(at.path, { staleMs: 1 })).state, 'held')
	}
	settle()
	await done
	assert.equal(at.json().held, true)
})

const skipWithoutFifos = skipIf(process.platform === 'win32', 'Windows has no such files')

test('a lockfile that is a FIFO is judged by its age, without hanging', {
	skip: skipWithoutFifos,
}, async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	execFileSync('mkfifo', [at.lockfile])
	assert.equal((await inspectLock(at.path)).state, 'held')
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), {
		code: 'LOCK_BUSY',
	})
	utimesSync(at.lockfile, 0, 0)
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
	assert.deepEqual(at.others(), [])
})

test('a lockfile dated in the future that can’t be dated now is abandoned', {
	skip: skipWithoutFifos,
}, async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	execFileSync('mkfifo', [at.lockfile])
	const tomorrow = Date.now() / 1000 + 86_400
	utimesSync(at.lockfile, tomorrow, tomorrow)
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
	assert.deepEqual(at.others(), [])
})

test('a folder in the lockfile’s place is an error that names it, and stays where it is', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	mkdirSync(at.lockfile)
	utimesSync(at.lockfile, 0, 0)
	const refused = { name: 'RegistryError', code: 'IO', path: at.lockfile }
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), refused)
	assert.deepEqual(at.others(), ['registry.json.lock'])
	assert.equal(at.text(), print(EMPTY))
})

test('with a staleMs beyond old argus’s the lockfile stays fresh for old argus nevertheless', async (t) => {
	const at = folder(t)
	const { settle, done } = await held(at, { ...UP_TO_A_MINUTE, staleMs: Number.POSITIVE_INFINITY })
	utimesSync(at.lockfile, 0, 0)
	while (statSync(at.lockfile).mtimeMs === 0) await delay(20)
	settle()
	await done
})
