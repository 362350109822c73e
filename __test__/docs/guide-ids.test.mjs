// docs/how-to/adopting-in-argus.md: ids that watchers get, enter and remove.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import * as store from '../../index.js'
import { argus, core, home, record, started, watcher } from '../support/guide-home.mjs'
import { acquireOlderArgusLock } from '../support/older-argus-lock.mjs'

test('watchers that are announced under one id at one time get one each', async (t) => {
	const at = home(t)
	const four = await Promise.all(Array.from({ length: 4 }, () => argus(t, at)))
	const starts = four.map((each) =>
		each.do('start', { record: record('app', { pid: each.pid }), times: 3 }),
	)
	const ids = (await Promise.all(starts)).flat()
	assert.equal(new Set(ids).size, 12, ids.join())
	assert.ok(ids.includes('app') && ids.includes('app-12'), ids.join())
	assert.deepEqual(at.ids().sort(), ids.sort())
	// Dead processes need no ids.
	for (const each of four) await each.kill()
	assert.equal((await started('app')).id, 'app')
})

test('an id that was resolved is in no file before its watcher is announced', async (t) => {
	const at = home(t)
	assert.equal(await watcher.resolveUniqueWatcherId('app'), 'app')
	assert.deepEqual(readdirSync(at.dir), [])
	const own = record('app', { cwd: '/', match: { type: 'page' } })
	await watcher.announceWatcher(own)
	const [listed, ...others] = core.listWatchers(at.json())
	assert.deepEqual(others, [])
	assert.deepEqual(listed, { ...own, updatedAt: listed.updatedAt })
	await watcher.updateWatcherHeartbeat({ ...own, port: 1 })
	assert.deepEqual(
		[at.json().watchers.app.port, at.json().watchers.app.startedAt],
		[1, own.startedAt],
	)
	await watcher.removeWatcher('app')
	assert.deepEqual(at.json().watchers, {})
})

test('a watcher whose id was taken since it was resolved gets the next one of those asked for', async (t) => {
	const at = home(t)
	await store.announceWatcher(at.path, record('app'))
	const own = record(await watcher.resolveUniqueWatcherId('app'))
	assert.equal(own.id, 'app-2')
	await store.announceWatcher(at.path, record('app-2', { startedAt: own.startedAt + 1 }))
	await watcher.announceWatcher(own)
	assert.equal(own.id, 'app-3')
	assert.deepEqual(at.ids(), ['app', 'app-2', 'app-3'])
	await watcher.removeWatcher('app-3')
	assert.deepEqual(at.ids(), ['app', 'app-2'])
})

test('an entry that was pruned is entered again; one that was lost is an error', async (t) => {
	const at = home(t)
	const own = await started('app')
	await store.removeWatcher(at.path, 'app')
	await watcher.announceWatcher(own)
	assert.equal(at.json().watchers.app.port, 9222)

	const theirs = record('app', { port: 1, startedAt: 1 })
	await store.announceWatcher(at.path, theirs)
	const failure = { name: 'RegistryError', code: 'ENTRY_LOST' }
	await assert.rejects(watcher.announceWatcher(own), failure)
	await assert.rejects(watcher.updateWatcherHeartbeat(own), failure)
	assert.deepEqual(at.json().watchers, { app: theirs })
	await watcher.removeWatcher('app')
	assert.deepEqual(at.json().watchers, { app: theirs })
})

test('removing twice does not remove the watcher that has the id by then', async (t) => {
	const at = home(t)
	await started('app')
	await watcher.removeWatcher('app')
	const next = await argus(t, at)
	const theirs = record('app', { pid: next.pid })
	assert.deepEqual(await next.do('start', { record: theirs, times: 1 }), ['app'])
	await watcher.removeWatcher('app')
	assert.equal(at.json().watchers.app.pid, next.pid)
	await next.do('remove', { id: 'app' })
	assert.deepEqual(at.json().watchers, {})
})

test('a watcher that ends does not remove the one that was started anew under its id', async (t) => {
	const at = home(t)
	const before = await argus(t, at)
	const [id] = await before.do('start', { record: record('app', { pid: before.pid }), times: 1 })
	// Another process has judged it dead.
	await core.removeWatcherAndPersist(id)
	const own = await started('app')
	await before.do('remove', { id })
	assert.equal(at.json().watchers.app.pid, own.pid)
})

test('a removal that failed can be tried again', async (t) => {
	const at = home(t)
	await started('app')
	const release = await acquireOlderArgusLock(at.path)
	try {
		await assert.rejects(watcher.removeWatcher('app'), { code: 'LOCK_TIMEOUT' })
	} finally {
		await release()
	}
	assert.ok(at.json().watchers.app)
	await watcher.removeWatcher('app')
	assert.deepEqual(at.json().watchers, {})
})
