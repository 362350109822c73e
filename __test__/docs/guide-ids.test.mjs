// docs/how-to/adopting-in-argus.md: ids that watchers reserve, enter and remove.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as store from '../../index.js'
import { argus, core, home, record, started, watcher } from '../support/guide-home.mjs'
import { acquireSeedLock } from '../support/seed-lock.mjs'

test('processes that claim one id at one time get one each', async (t) => {
	const at = home(t)
	const four = await Promise.all(Array.from({ length: 4 }, () => argus(t, at)))
	const got = await Promise.all(four.map((each) => each.do('resolve', { id: 'app', times: 3 })))
	const ids = got.flat()
	assert.equal(new Set(ids).size, 12, ids.join())
	assert.ok(ids.includes('app') && ids.includes('app-12'), ids.join())
	// Dead processes need no ids.
	for (const each of four) await each.kill()
	assert.equal(await watcher.resolveUniqueWatcherId('app'), 'app')
	await watcher.removeWatcher('app')
})

test('a reservation becomes the watcher’s entry, and is not listed before', async (t) => {
	const at = home(t)
	const id = await watcher.resolveUniqueWatcherId('app')
	const { watchers } = at.json()
	assert.deepEqual([id, watchers.app.port, watchers.app.pid], ['app', 0, process.pid])
	assert.deepEqual(core.listWatchers(at.json()), [])
	const own = record('app', { startedAt: Date.now() + 5_000, cwd: '/', match: { type: 'page' } })
	await watcher.announceWatcher(own)
	const [listed, ...others] = core.listWatchers(at.json())
	assert.deepEqual(others, [])
	const { updatedAt, startedAt } = listed
	assert.ok(updatedAt >= own.updatedAt)
	assert.deepEqual(listed, { ...own, startedAt: watchers.app.startedAt, updatedAt })
	await watcher.updateWatcherHeartbeat({ ...own, port: 1 })
	assert.deepEqual([at.json().watchers.app.port, at.json().watchers.app.startedAt], [1, startedAt])
	await watcher.removeWatcher('app')
	assert.deepEqual(at.json().watchers, {})
})

test('a reservation that was pruned is entered again; one that was lost is an error', async (t) => {
	const at = home(t)
	const id = await watcher.resolveUniqueWatcherId('app')
	await store.removeWatcher(at.path, id)
	await watcher.announceWatcher(record(id))
	assert.equal(at.json().watchers.app.port, 9222)

	const theirs = record('app', { port: 1, startedAt: 1 })
	await store.announceWatcher(at.path, theirs)
	const failure = { name: 'RegistryError', code: 'ENTRY_LOST' }
	await assert.rejects(watcher.announceWatcher(record(id)), failure)
	await assert.rejects(watcher.updateWatcherHeartbeat(record(id)), failure)
	assert.deepEqual(at.json().watchers, { app: theirs })
	await watcher.removeWatcher(id)
	assert.deepEqual(at.json().watchers, { app: theirs })
})

test('a watcher without a reservation is announced as argus does: it replaces', async (t) => {
	const at = home(t)
	await store.announceWatcher(at.path, record('solo', { pid: 1, startedAt: 1 }))
	const own = record('solo')
	await watcher.announceWatcher(own)
	assert.deepEqual(at.json().watchers, { solo: own })
	await watcher.removeWatcher('solo')
	assert.deepEqual(at.json().watchers, {})
})

test('removing twice does not remove the watcher that has the id by then', async (t) => {
	const at = home(t)
	await started('app')
	await watcher.removeWatcher('app')
	const next = await argus(t, at)
	assert.deepEqual(await next.do('resolve', { id: 'app', times: 1 }), ['app'])
	await watcher.removeWatcher('app')
	assert.equal(at.json().watchers.app.pid, next.pid)
	await next.do('remove', { id: 'app' })
	assert.deepEqual(at.json().watchers, {})
})

test('a watcher that ends does not remove the one that was started anew under its id', async (t) => {
	const at = home(t)
	const before = await argus(t, at)
	const [id] = await before.do('resolve', { id: 'app', times: 1 })
	await before.do('announce', { record: record(id, { pid: before.pid }) })
	// Another process has judged it dead.
	await core.removeWatcherAndPersist(id)
	const own = await started('app')
	await before.do('remove', { id })
	assert.equal(at.json().watchers.app.pid, own.pid)
})

test('a removal that failed can be tried again', async (t) => {
	const at = home(t)
	await started('app')
	const release = await acquireSeedLock(at.path)
	try {
		await assert.rejects(watcher.removeWatcher('app'), { code: 'LOCK_TIMEOUT' })
	} finally {
		await release()
	}
	assert.ok(at.json().watchers.app)
	await watcher.removeWatcher('app')
	assert.deepEqual(at.json().watchers, {})
})
