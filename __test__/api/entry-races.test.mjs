// Races that a locked read-modify-write leaves open. Each is shown twice: with the operations as
// argus has had them (support/plain-operations.mjs), which lose it, and with those of this package,
// which don't.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { test } from 'node:test'
import {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
	updateRegistry,
} from '../../index.js'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import * as plain from '../support/plain-operations.mjs'
import { puppet } from '../support/processes.mjs'
import { asCommand, importPackage, NOBODY, runUnprivileged } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

/** Runs `body` while an update of this thread holds the lock: the calls that `body` makes wait. */
const behindAnUpdate = async (at, body) => {
	let settle
	const held = updateRegistry(
		at.path,
		(registry) => new Promise((resolve) => (settle = () => resolve(registry))),
		UP_TO_A_MINUTE,
	)
	while (!settle) await new Promise((resolve) => setImmediate(resolve))
	const started = body()
	settle()
	await held
	return started
}

test('check, then act: two processes that look for a free id at once both take it', async (t) => {
	const race = async (at, enter) => {
		at.put(print(EMPTY))
		const results = await Promise.all([enter(1), enter(2)])
		return { results, entries: at.ids() }
	}
	const at = folder(t)
	const found = []
	const before = await race(at, async (port) => {
		const id = await plain.resolveUniqueWatcherId(at.path, 'app')
		found.push(id)
		// Both processes have looked before either acts.
		while (found.length < 2) await new Promise((resolve) => setImmediate(resolve))
		await plain.announceWatcher(at.path, record(id, { port }))
		return id
	})
	assert.deepEqual(before, { results: ['app', 'app'], entries: ['app'] })
	const now = await race(at, async (port) => {
		const { claim } = await claimWatcher(at.path, record('app', { port }))
		return claim.id
	})
	assert.deepEqual(now, { results: ['app', 'app-2'], entries: ['app', 'app-2'] })
})

test('a renewal that was under way brings back the entry that was removed before it', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	const race = (remove, renew) => behindAnUpdate(at, () => Promise.all([remove(), renew()]))
	await plain.announceWatcher(at.path, watcher)
	await race(
		() => plain.removeWatcher(at.path, 'app'),
		() => plain.heartbeatWatcher(at.path, watcher),
	)
	assert.deepEqual(at.ids(), ['app'])
	for (const entry of [
		watcher,
		'app',
		{ id: 'app', pid: watcher.pid, startedAt: watcher.startedAt },
	]) {
		await announceWatcher(at.path, watcher)
		const results = await race(
			() => removeWatcher(at.path, entry, UP_TO_A_MINUTE),
			() => heartbeatWatcher(at.path, entry, UP_TO_A_MINUTE),
		)
		assert.deepEqual(results, [true, false])
		assert.deepEqual(at.ids(), [])
	}
})

test('a watcher that ends removes the entry of the watcher that was started in its place', async (t) => {
	const at = folder(t)
	const old = record('app', { port: 1 })
	const restarted = record('app', { port: 2, startedAt: old.startedAt + 1 })
	const restart = async (remove) => {
		await announceWatcher(at.path, old)
		await announceWatcher(at.path, restarted)
		return remove()
	}
	await restart(() => plain.removeWatcher(at.path, 'app'))
	assert.deepEqual(at.ids(), [])
	for (const entry of [old, { id: 'app', pid: old.pid, startedAt: old.startedAt }]) {
		assert.equal(await restart(() => removeWatcher(at.path, entry)), false)
		assert.equal(await restart(() => heartbeatWatcher(at.path, entry)), false)
		assert.deepEqual(at.json().watchers, { app: restarted })
	}
	assert.equal(await removeWatcher(at.path, restarted), true)
	// Two watchers that were started in one millisecond.
	const other = { ...old, pid: old.pid + 1 }
	await announceWatcher(at.path, other)
	for (const entry of [old, { id: 'app', pid: old.pid, startedAt: old.startedAt }]) {
		assert.equal(await removeWatcher(at.path, entry), false)
		assert.equal(await heartbeatWatcher(at.path, entry), false)
	}
	assert.deepEqual(at.json().watchers, { app: other })
})

test('an entry that is renewed after it was found old is pruned nevertheless', async (t) => {
	const at = folder(t)
	const old = record('app', { updatedAt: 0 })
	const fresh = record('app')
	await announceWatcher(at.path, old)
	const pruned = await plain.pruneStaleWatchers(at.path, {
		meanwhile: () => plain.announceWatcher(at.path, fresh),
	})
	assert.deepEqual(pruned, ['app'])
	assert.deepEqual(at.ids(), [])

	await announceWatcher(at.path, old)
	const other = puppet(t)
	other.start('hold', { path: at.path, watchers: { app: fresh }, options: UP_TO_A_MINUTE })
	await other.expect('holding')
	// The pruning finds an old entry, whenever it looks, and has to wait for the lock.
	const waiting = pruneStaleWatchers(at.path, UP_TO_A_MINUTE)
	other.settle()
	await other.expect('done')
	assert.deepEqual(await waiting, [])
	assert.deepEqual(at.json().watchers, { app: fresh })
})

test('a renewal and a removal wait for the entry that another process is about to write', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const watcher = record('app')
	for (const operation of [heartbeatWatcher, removeWatcher]) {
		const other = puppet(t)
		other.start('hold', { path: at.path, watchers: { app: watcher }, options: UP_TO_A_MINUTE })
		await other.expect('holding')
		let isDone = false
		const done = operation(at.path, watcher, UP_TO_A_MINUTE).finally(() => (isDone = true))
		const startedAt = performance.now()
		while (!isDone && performance.now() < startedAt + 20) {
			await new Promise((resolve) => setImmediate(resolve))
		}
		assert.equal(isDone, false)
		other.settle()
		assert.equal(await done, true)
		await other.expect('done')
		await removeWatcher(at.path, 'app', UP_TO_A_MINUTE)
	}
})

/** Runs a watcher's script to its end. */
const runWatcher = (text) => {
	const { command, remove } = asCommand(`${importPackage}\n${text}`)
	const [file, ...args] = command
	const { status, stdout } = spawnSync(file, args, { encoding: 'utf8', timeout: 60_000 })
	remove()
	return { status, stdout }
}

test('a heartbeat that fails ends its watcher', (t) => {
	const at = folder(t)
	// A newer program's registry: no renewal can succeed.
	at.put(print({ ...EMPTY, version: 2 }))
	const watcher = `const watcher = ${JSON.stringify(record('app'))}`
	const path = JSON.stringify(at.path)
	const operations = JSON.stringify(new URL('../support/plain-operations.mjs', import.meta.url))
	const before = runWatcher(`import { startRegistryHeartbeat } from ${operations}
		${watcher}
		startRegistryHeartbeat(${path}, () => watcher, 1)
		console.log('started')`)
	assert.deepEqual(before, { status: 1, stdout: 'started\n' })

	const now = runWatcher(`${watcher}
		let failures = 0
		const onError = (error) => {
			failures += 1
			console.log(error.code)
			if (failures === 5) heartbeat.stop().then(() => console.log('still here'))
			// A failure of the handler itself does not end the process, either.
			throw new Error('mine')
		}
		const getWatcher = () => {
			if (failures === 2) throw new Error('no watcher')
			return watcher
		}
		const options = { intervalMs: 1, keepAlive: true, onError }
		const heartbeat = registry.startRegistryHeartbeat(${path}, getWatcher, options)`)
	const code = 'UNSUPPORTED_VERSION'
	const stdout = `${code}\n${code}\nundefined\n${code}\n${code}\nstill here\n`
	assert.deepEqual(now, { status: 0, stdout })
})

test('pruning needs write access, even if there is nothing to prune', {
	skip: skipIf(process.platform === 'win32', 'folders can not be made read-only here'),
}, (t) => {
	const at = folder(t)
	at.put(print({ ...EMPTY, watchers: { app: record('app') } }))
	chmodSync(at.dir, 0o555)
	const operations = JSON.stringify(new URL('../support/plain-operations.mjs', import.meta.url))
	const path = JSON.stringify(at.path)
	const results = runUnprivileged(
		`const before = await outcome(plain.pruneUnderLock(${path}))
		const now = await outcome(registry.pruneStaleWatchers(${path}, { liveness: true }))
		const later = await outcome(registry.pruneStaleWatchers(${path}, { now: 8.64e15 }))
		console.log(JSON.stringify({ before, now, later }))`,
		NOBODY,
		`const plain = await import(${operations})`,
	)
	assert.equal(results.before.code, 'PERMISSION_DENIED')
	assert.deepEqual(results.now, { value: [] })
	assert.equal(results.later.code, 'PERMISSION_DENIED', 'with something to prune it does')
	assert.deepEqual(at.others(), [])
})
