// Claiming, announcing, renewing, removing and pruning entries, whichever store keeps them. The list is that of
// tests/it/store/entries.rs.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	readRegistry,
	removeWatcher,
	startRegistryHeartbeat,
} from '../../index.js'
import { record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppets, script } from '../support/processes.mjs'
import { bySuffix, forEachStore, suffixed } from '../support/stores.mjs'

const claim = ({ path }, watcher, options) =>
	claimWatcher(path, watcher, { ...UP_TO_A_MINUTE, ...options })
const renew = ({ path }, entry, options) =>
	heartbeatWatcher(path, entry, { ...UP_TO_A_MINUTE, ...options })
const remove = ({ path }, entry) => removeWatcher(path, entry, UP_TO_A_MINUTE)

const OLD = 1_700_000_000_000

/** The pid of a process that is gone. */
const deadPid = async (t) => {
	const { child, exited } = script(t, '', { prelude: '' })
	await exited
	return child.pid
}

forEachStore('a registry that is not there reads as empty with a warning', async (at) => {
	const { registry, warnings } = await readRegistry(at.path)
	assert.deepEqual(registry.watchers, {})
	assert.deepEqual(
		warnings.map(({ code, path }) => ({ code, path })),
		[{ code: 'NOT_FOUND', path: at.path }],
	)
	assert.ok(!existsSync(at.path), 'reading creates nothing')
	await claim(at, record('app'))
	assert.deepEqual((await readRegistry(at.path)).warnings, [])
})

forEachStore('a claim gets the first free id', async (at) => {
	const ids = []
	for (let n = 0; n < 3; n += 1) ids.push((await claim(at, record('app'))).watcher.id)
	assert.deepEqual(ids, suffixed(3))
	assert.equal(await remove(at, 'app-2'), true)
	assert.equal((await claim(at, record('app'))).claim.id, 'app-2')
	await assert.rejects(claim(at, record('app'), { suffix: false }), {
		name: 'RegistryError',
		code: 'ID_TAKEN',
		path: at.path,
		message: new RegExp(`process ${process.pid}`),
	})
	await assert.rejects(claim(at, record('')), { code: 'INVALID_VALUE' })
})

forEachStore('claims that are made together get an id each', async (at) => {
	const claims = Array.from({ length: 20 }, () => claim(at, record('app')))
	const ids = (await Promise.all(claims)).map(({ claim: { id } }) => id)
	assert.deepEqual(ids, suffixed(20), 'in order of arrival')
	assert.deepEqual(bySuffix(at.ids()), suffixed(20))
})

forEachStore('claims of many processes get an id each', async (at, t) => {
	const watcher = record('app')
	const claimants = puppets(t, 5)
	for (const claimant of claimants) {
		claimant.start('claimMany', { path: at.path, watcher, times: 20, options: UP_TO_A_MINUTE })
		await claimant.expect('ready')
	}
	for (const claimant of claimants) claimant.settle()
	const claimed = []
	for (const claimant of claimants) claimed.push(...(await claimant.expect('claimed')))
	assert.deepEqual(bySuffix(claimed), suffixed(100))
	assert.deepEqual(bySuffix(at.ids()), suffixed(100))
})

forEachStore('an entry is read as it was written', async (at) => {
	// Of another process, so that nothing is added to it.
	const watcher = {
		id: 'app',
		later: { b: 1e21, a: ['\ud800', {}], 7: null },
		host: 'h',
		port: 80,
		pid: 0,
		startedAt: 1.5,
		updatedAt: OLD,
		cwd: '\udc00',
	}
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	assert.equal(JSON.stringify(at.watchers().app), JSON.stringify(watcher))
	const own = await claim(at, record('own'))
	assert.deepEqual(at.watchers().own, own.watcher)
})

forEachStore('an id may be any text', async (at) => {
	const odd = [
		'..',
		'CON',
		'con',
		'a/b',
		'a\\b',
		'App',
		'app',
		'a.',
		'a ',
		'é',
		'e\u0301',
		'😀',
		'10',
		'2',
	]
	const ids = [...odd, '%', '\0\n"', '.hidden', 'long'.repeat(100)]
	for (const id of ids) assert.equal((await claim(at, record(id))).watcher.id, id)
	assert.deepEqual(at.ids(), [...ids].sort())
	for (const id of ids) {
		assert.equal(await renew(at, id), true, id)
		assert.equal(await remove(at, id), true, id)
	}
	assert.deepEqual(at.ids(), [])
})

forEachStore('announcing replaces the entry of the id', async (at) => {
	const first = await claim(at, record('app'))
	const next = record('app', { port: 7, startedAt: first.claim.startedAt + 1 })
	await announceWatcher(at.path, next, UP_TO_A_MINUTE)
	assert.equal(at.watchers().app.port, 7)
	const { id, pid, startedAt } = next
	assert.equal(await renew(at, first.claim), false)
	assert.equal(await renew(at, { id, pid, startedAt }), true)
})

forEachStore('a heartbeat dates the entry', async (at) => {
	const { watcher, claim: own } = await claim(at, record('app', { updatedAt: OLD }))
	assert.equal(at.watchers().app.updatedAt, OLD)
	let last = 0
	for (const entry of [own, watcher, 'app', own]) {
		const before = Date.now()
		assert.equal(await renew(at, entry), true)
		const { updatedAt, ...rest } = at.watchers().app
		assert.ok(updatedAt >= Math.max(before, last) && updatedAt <= Date.now())
		assert.deepEqual({ ...rest, updatedAt: OLD }, watcher)
		last = updatedAt
	}
	assert.equal(await heartbeatWatcher(at.path, own), true)
	assert.ok(at.watchers().app.updatedAt >= last)
	for (const [n, entry] of [own, watcher, 'app'].entries()) {
		assert.equal(await renew(at, entry, { now: OLD + n }), true)
		assert.equal(at.watchers().app.updatedAt, OLD + n, 'the time that the caller gives')
	}
})

forEachStore('a heartbeat with another record writes its fields', async (at) => {
	const { watcher, claim: own } = await claim(at, record('app'))
	assert.equal(await renew(at, { ...watcher, port: 7, cwd: '/' }), true)
	const { port, cwd } = at.watchers().app
	assert.deepEqual({ port, cwd }, { port: 7, cwd: '/' })
	assert.equal(await renew(at, own), true)
	assert.equal(at.watchers().app.port, 7)
})

forEachStore('a removed entry is not renewed and stays removed', async (at) => {
	const { watcher, claim: own } = await claim(at, record('app'))
	assert.equal(await remove(at, own), true)
	assert.equal(await remove(at, own), false)
	for (const entry of [own, 'app', watcher, { ...watcher, port: 7 }]) {
		assert.equal(await renew(at, entry), false)
	}
	assert.equal(await heartbeatWatcher(at.path, own), false)
	assert.deepEqual(at.ids(), [])
})

forEachStore('an entry of another watcher is not renewed and not removed', async (at) => {
	const { watcher, claim: own } = await claim(at, record('app'))
	const startedAt = own.startedAt + 1
	assert.equal(await renew(at, { ...own, startedAt }), false)
	assert.equal(await heartbeatWatcher(at.path, { ...own, startedAt }), false)
	assert.equal(await renew(at, { ...watcher, startedAt }), false)
	assert.equal(await remove(at, { ...own, startedAt }), false)
	assert.deepEqual(at.watchers().app.startedAt, own.startedAt)
	assert.equal(await renew(at, own), true)
})

forEachStore(
	'the entry of a dead process is claimed and that of a live one is not',
	async (at, t) => {
		await announceWatcher(at.path, record('app', { pid: await deadPid(t) }), UP_TO_A_MINUTE)
		assert.equal((await claim(at, record('app'), { liveness: false })).watcher.id, 'app-2')
		const { watcher } = await claim(at, record('app'))
		assert.deepEqual({ id: watcher.id, pid: watcher.pid }, { id: 'app', pid: process.pid })
		assert.equal((await claim(at, record('app'))).watcher.id, 'app-3')
	},
)

forEachStore(
	'pruning removes expired entries and if asked to those of dead processes',
	async (at, t) => {
		const own = await claim(at, record('own'))
		await claim(at, record('old', { updatedAt: Date.now() - 61_000 }))
		await announceWatcher(at.path, record('dead', { pid: await deadPid(t) }), UP_TO_A_MINUTE)
		const prune = async (options) => {
			const pruned = await pruneStaleWatchers(at.path, { ...UP_TO_A_MINUTE, ...options })
			return pruned.map(({ id, watcher, reason }) => [id, watcher.id, reason])
		}
		assert.deepEqual(await prune(), [['old', 'old', 'expired']])
		assert.deepEqual(await prune({ liveness: true }), [['dead', 'dead', 'dead']])
		assert.deepEqual(await prune({ liveness: true }), [])
		assert.equal(await renew(at, own.claim), true)
		assert.deepEqual(await prune({ now: Date.now() + 3_600_000 }), [['own', 'own', 'expired']])
		assert.equal(await renew(at, own.claim), false)
	},
)

forEachStore('pruning and removing where nothing is create nothing', async (at) => {
	assert.deepEqual(await pruneStaleWatchers(at.path, { ...UP_TO_A_MINUTE, liveness: true }), [])
	assert.equal(await remove(at, 'app'), false)
	assert.equal(await renew(at, 'app'), false)
	assert.equal(await heartbeatWatcher(at.path, { id: 'app', pid: 1, startedAt: 1 }), false)
	assert.ok(!existsSync(at.path))
})

forEachStore('a started heartbeat renews its entry until it is lost', async (at, t) => {
	const { watcher } = await claim(at, record('app', { updatedAt: OLD }))
	let lost
	const loss = new Promise((resolve) => (lost = resolve))
	let beats = 0
	let beaten
	const twoBeats = new Promise((resolve) => (beaten = resolve))
	const options = { ...UP_TO_A_MINUTE, intervalMs: 5, keepAlive: true, onError: lost }
	const heartbeat = startRegistryHeartbeat(
		at.path,
		() => {
			beats += 1
			// The second beat begins after the first is done.
			if (beats === 2) beaten()
			return watcher
		},
		options,
	)
	t.after(() => heartbeat.stop())
	await twoBeats
	assert.ok(at.watchers().app.updatedAt > OLD)
	assert.equal(await remove(at, 'app'), true)
	assert.deepEqual((({ code, path }) => ({ code, path }))(await loss), {
		code: 'ENTRY_LOST',
		path: at.path,
	})
	await heartbeat.stop()
	assert.deepEqual(at.ids(), [])
	const again = await claim(at, record('app'))
	const next = startRegistryHeartbeat(at.path, () => again.watcher, UP_TO_A_MINUTE)
	assert.equal(await next.stop({ remove: true }), true)
	assert.deepEqual(at.ids(), [])
})

forEachStore('operations that are not awaited are done in order', async (at) => {
	const port = (n) => record('app', { port: n, startedAt: n })
	await Promise.all([1, 2, 3].map((n) => announceWatcher(at.path, port(n), UP_TO_A_MINUTE)))
	assert.equal(at.watchers().app.port, 3)
	const results = await Promise.all([
		remove(at, 'app'),
		claim(at, record('app')),
		remove(at, 'app'),
		remove(at, 'app'),
	])
	assert.equal(results[1].watcher.id, 'app')
	assert.deepEqual([results[0], results[2], results[3]], [true, true, false])
})

forEachStore(
	'a record that JSON can not hold is refused, and so is a call that was aborted',
	async (at) => {
		await assert.rejects(claim(at, record('app', { later: new Map() })), { code: 'INVALID_VALUE' })
		const signal = AbortSignal.abort('no')
		for (const call of [
			claim(at, record('app'), { signal }),
			renew(at, 'app', { signal }),
			pruneStaleWatchers(at.path, { signal }),
		]) {
			await assert.rejects(call, { code: 'ABORTED', cause: 'no' })
		}
		assert.ok(!existsSync(at.path))
	},
)
