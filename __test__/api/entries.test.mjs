// The entry operations: announce, claim, heartbeat, remove. The races that they close are in
// entry-races.test.mjs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	inspectLock,
	pruneStaleWatchers,
	removeWatcher,
} from '../../index.js'
import { held } from '../support/entries.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { UP_TO_TWO_MINUTES } from '../support/options.mjs'

test('an entry is announced, renewed and removed; each operation dates the registry', async (t) => {
	const at = folder(t)
	const watcher = record('app', { match: { url: 'x' }, later: [1, { two: 2 }] })
	assert.equal(await announceWatcher(at.path, watcher, { now: 5 }), undefined)
	assert.equal(at.text(), print({ version: 1, updatedAt: 5, watchers: { app: watcher } }))
	assert.equal(await heartbeatWatcher(at.path, 'app', { now: 6 }), true)
	const renewed = { ...watcher, updatedAt: 6 }
	assert.equal(at.text(), print({ version: 1, updatedAt: 6, watchers: { app: renewed } }))
	const changed = record('app', { ...watcher, port: 1, chrome: { host: 'h', port: 2 } })
	assert.equal(await heartbeatWatcher(at.path, changed, { now: 7 }), true)
	assert.deepEqual(at.json().watchers.app, { ...changed, updatedAt: 7 })
	const replaced = record('app', { port: 3 })
	await announceWatcher(at.path, replaced, { now: 8 })
	assert.deepEqual(at.json().watchers, { app: replaced })
	assert.equal(await removeWatcher(at.path, 'app', { now: 9 }), true)
	assert.equal(at.text(), print({ ...EMPTY, updatedAt: 9 }))
	assert.equal((await inspectLock(at.path)).state, 'free')
	await claimWatcher(at.path, watcher, { now: 10 })
	assert.equal(at.text(), print({ version: 1, updatedAt: 10, watchers: { app: watcher } }))
	await Promise.all([
		removeWatcher(at.path, 'other', { now: 11 }),
		removeWatcher(at.path, 'app', { now: 12 }),
		removeWatcher(at.path, 'other', { now: 13 }),
	])
	assert.equal(at.text(), print({ ...EMPTY, updatedAt: 12 }), 'by those that change something')
	assert.deepEqual(at.others(), [])
})

test('a large registry is as JavaScript would print it after every renewal', async (t) => {
	const at = folder(t)
	const now = { now: 1_700_000_000_000 }
	const watchers = Object.fromEntries(
		Array.from({ length: 300 }, (_, n) => [`é-${n}`, record(`é-${n}`, { updatedAt: n })]),
	)
	const registry = { version: 1, updatedAt: 1, watchers, later: ['\ud800', { é: 1e21 }] }
	at.put(print(registry))
	const renew = async (id, options) => {
		assert.equal(await heartbeatWatcher(at.path, id, options), true)
		registry.updatedAt = options.now
		watchers[id].updatedAt = options.now
		assert.equal(at.text(), print(registry))
	}
	await renew('é-7', now)
	await renew('é-7', now)
	await renew('é-299', { now: 5 })
	// Another process renews entries, and makes one longer.
	watchers['é-0'].updatedAt = now.now
	watchers['é-100'].cwd = '\udc00'
	at.put(print(registry))
	await renew('é-298', now)
	await Promise.all(
		['é-1', 'é-200', 'missing', 'é-1'].map((id) => heartbeatWatcher(at.path, id, now)),
	)
	watchers['é-1'].updatedAt = watchers['é-200'].updatedAt = now.now
	assert.equal(at.text(), print(registry))
	watchers['é-3'] = record('é-3', { port: 3, source: { é: [] } })
	await announceWatcher(at.path, watchers['é-3'], now)
	assert.equal(at.text(), print(registry))
	// Another process adds an entry, in front of all others.
	watchers[7] = record('7')
	at.put(print(registry))
	await renew('é-3', { now: 6 })
	await removeWatcher(at.path, 'é-4', { now: 7 })
	delete watchers['é-4']
	await renew('7', { now: 8 })
	assert.deepEqual(at.others(), [])
})

test('without `now` an operation is dated when the lock is held', async (t) => {
	const at = folder(t)
	const before = Date.now()
	await announceWatcher(at.path, record('app', { updatedAt: 0 }))
	await heartbeatWatcher(at.path, 'app')
	const { updatedAt, watchers } = at.json()
	assert.equal(watchers.app.updatedAt, updatedAt)
	assert.ok(updatedAt >= before && updatedAt <= Date.now())
	const holder = await held(t, at)
	const waiting = announceWatcher(at.path, record('app'), UP_TO_TWO_MINUTES)
	const calledAt = Date.now()
	while (Date.now() <= calledAt + 20) await new Promise((resolve) => setImmediate(resolve))
	const freeAt = Date.now()
	holder.settle()
	await waiting
	assert.ok(at.json().updatedAt >= freeAt, 'not when it was called')
})

test('bytes that an operation does not touch stay', async (t) => {
	const at = folder(t)
	const text = `{
  "note": "\\ud800 and é",
  "version": 1,
  "updatedAt": 1,
  "watchers": {
    "\\udc00": null,
    "constructor": {
      "updatedAt": 1e3,
      "pid": 7,
      "port": 80.0,
      "startedAt": 3.5,
      "cwd": "\\ud800"
    },
    "odd": [
      1.50
    ]
  },
  "__proto__": {
    "later": {}
  }
}`
	at.put(text)
	const claim = { id: 'constructor', pid: 7, startedAt: 3.5 }
	for (const entry of ['constructor', claim]) {
		assert.equal(await heartbeatWatcher(at.path, entry, { now: 2 }), true)
		const expected = text.replace('"updatedAt": 1,', '"updatedAt": 2,').replace('1e3', '2')
		assert.equal(at.text(), expected)
		at.put(text)
	}
	await announceWatcher(at.path, record('new', { id: 'new' }), { now: 1 })
	await removeWatcher(at.path, 'new', { now: 1 })
	assert.equal(at.text(), text)
})

test('an operation with nothing to do writes, locks and makes nothing', async (t) => {
	const at = folder(t)
	for (const path of [at.path, `${at.dir}/missing/registry.json`]) {
		assert.equal(await heartbeatWatcher(path, 'app'), false)
		assert.equal(await removeWatcher(path, record('app')), false)
		assert.deepEqual(await pruneStaleWatchers(path), [])
		assert.deepEqual(at.others(), [])
	}
	at.put(print({ ...EMPTY, watchers: { app: record('app') } }))
	const text = at.text()
	assert.equal(await heartbeatWatcher(at.path, 'other'), false)
	assert.equal(await removeWatcher(at.path, { id: 'app', pid: 1, startedAt: 1 }), false)
	assert.equal(at.text(), text)
	await held(t, at)
	assert.deepEqual(await pruneStaleWatchers(at.path, { timeoutMs: 0 }), [])
})

test('ids may be any string, and entries anything', async (t) => {
	const at = folder(t)
	for (const id of ['__proto__', 'constructor', 'toString', '10', ' ', 'é "\\\n', '\u2028']) {
		const watcher = record(id)
		const { claim } = await claimWatcher(at.path, watcher)
		assert.deepEqual(claim, { id, pid: process.pid, startedAt: watcher.startedAt })
		assert.equal(await heartbeatWatcher(at.path, id), true)
		assert.equal((await claimWatcher(at.path, watcher)).claim.id, `${id}-2`)
		assert.equal(await removeWatcher(at.path, `${id}-2`), true)
		assert.deepEqual(at.ids(), [id])
		assert.equal(await removeWatcher(at.path, claim), true)
	}
	const missing = { id: 'd', pid: 0, startedAt: 0 }
	for (const d of [{}, { pid: 0 }, { startedAt: 0 }, { pid: '0', startedAt: 0 }, null]) {
		at.put(print({ ...EMPTY, watchers: { d } }))
		assert.equal(await removeWatcher(at.path, missing), false)
	}
	const array = ['127.0.0.1', 99_999_999, 1, 1]
	at.put(print({ ...EMPTY, watchers: { a: null, b: 7, c: array, d: {}, e: { updatedAt: 'x' } } }))
	const text = at.text()
	for (const id of ['a', 'b', 'c']) assert.equal(await heartbeatWatcher(at.path, id), false)
	assert.deepEqual(await pruneStaleWatchers(at.path, { now: 8.64e15, liveness: true }), [])
	assert.equal(at.text(), text)
	assert.equal(await removeWatcher(at.path, { id: 'c', pid: 99_999_999, startedAt: 1 }), false)
	assert.equal((await claimWatcher(at.path, record('c'))).claim.id, 'c-2')
	assert.equal((await claimWatcher(at.path, record('a'))).claim.id, 'a-2')
	assert.equal(await removeWatcher(at.path, 'a'), true)
	assert.deepEqual(at.ids(), ['b', 'c', 'd', 'e', 'c-2', 'a-2'])
})

test('names and members that only JavaScript can hold don’t prevent pruning', async (t) => {
	const at = folder(t)
	const old = { ...record('x'), host: '\ud800', pid: 'mine', startedAt: null, updatedAt: 0 }
	at.put(print({ ...EMPTY, watchers: { '\ud800': old, __proto__: null, '\udc00': record('y') } }))
	const pruned = await pruneStaleWatchers(at.path)
	assert.deepEqual(pruned, [{ id: '\ud800', watcher: old, reason: 'expired' }])
	assert.deepEqual(at.ids(), ['\udc00'])
})

test('bad arguments are refused before anything is done', async (t) => {
	const at = folder(t)
	const refused = { name: 'RegistryError', code: 'INVALID_VALUE' }
	const watcher = record('app')
	const { host: _, ...noHost } = watcher
	for (const bad of [
		undefined,
		null,
		7,
		'app',
		{},
		noHost,
		{ ...watcher, id: '' },
		{ ...watcher, id: 7 },
		{ ...watcher, id: '\ud800' },
		{ ...watcher, port: 65_536 },
		{ ...watcher, port: '80' },
		{ ...watcher, pid: -1 },
		{ ...watcher, pid: 1.5 },
		{ ...watcher, port: 1.5 },
		{ ...watcher, startedAt: Number.NaN },
		{ ...watcher, big: 1n },
	]) {
		await assert.rejects(announceWatcher(at.path, bad), refused)
		await assert.rejects(claimWatcher(at.path, bad), refused)
		// An entry is named by an id, which is not empty, or by a claim, which has no host.
		if (typeof bad === 'string' || bad === noHost || bad?.id === '') continue
		await assert.rejects(heartbeatWatcher(at.path, bad), refused)
	}
	const claim = { id: 'app', pid: 1, startedAt: 1 }
	for (const bad of [
		{ ...claim, id: 7 },
		{ ...claim, pid: -1 },
		{ ...claim, startedAt: -1 },
	]) {
		const unnamed = { ...refused, message: /; name the entry by id, by claim/ }
		await assert.rejects(heartbeatWatcher(at.path, bad), unnamed)
		await assert.rejects(removeWatcher(at.path, bad), unnamed)
	}
	for (const now of ['7', Number.NaN, -1, Number.POSITIVE_INFINITY]) {
		await assert.rejects(announceWatcher(at.path, watcher, { now }), refused)
		await assert.rejects(removeWatcher(at.path, watcher, { now }), refused)
	}
	for (const options of [null, 7, { durable: 1 }]) {
		await assert.rejects(announceWatcher(at.path, watcher, options), refused)
		await assert.rejects(removeWatcher(at.path, watcher, options), refused)
	}
	for (const options of [{ ttlMs: -1 }, { ttlMs: '7' }, { ttlMs: Number.NaN }, { liveness: 1 }]) {
		await assert.rejects(pruneStaleWatchers(at.path, options), refused)
	}
	await assert.rejects(claimWatcher(at.path, watcher, { liveness: 'no' }), refused)
	await assert.rejects(claimWatcher(at.path, watcher, { suffix: 'no' }), refused)
	const getter = Object.defineProperty({ ...watcher }, 'cwd', {
		enumerable: true,
		get: () => {
			throw null
		},
	})
	await assert.rejects(announceWatcher(at.path, getter), refused)
	await assert.rejects(announceWatcher(at.path, watcher, { now: 1e300 }), refused)
	await assert.rejects(announceWatcher('', watcher), refused)
	assert.deepEqual(at.others(), [])
})
