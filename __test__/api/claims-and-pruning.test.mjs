// Entry operations that ask whether a process lives: claiming an id, pruning.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { announceWatcher, claimWatcher, DEFAULT_TTL_MS, pruneStaleWatchers } from '../../index.js'
import { cleanUp, killed } from '../support/cleanup.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { UP_TO_TWO_MINUTES } from '../support/options.mjs'
import { deadPid, puppets, rustExample } from '../support/processes.mjs'
import { runUnprivileged } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

test('100 processes, Node and Rust, that claim one id at once get 100', {
	timeout: 120_000,
}, async (t) => {
	const at = folder(t)
	const claim = rustExample('claim')
	const nodes = puppets(t, 10)
	const rust = Array.from({ length: 90 }, () => {
		const child = spawn(claim, [at.path, 'app'], {
			stdio: ['pipe', 'pipe', 'inherit'],
		})
		cleanUp(t, () => killed(child))
		return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
	})
	for (const { lines } of rust) assert.equal((await lines.next()).value, 'ready')
	for (const { child } of rust) child.stdin.write('go\n')
	for (const node of nodes) {
		node.start('claim', { path: at.path, watcher: record('app'), options: UP_TO_TWO_MINUTES })
	}
	const claimed = await Promise.all([
		...rust.map(async ({ lines }) => (await lines.next()).value),
		...nodes.map(async (node) => (await node.expect('claimed')).id),
	])
	const expected = ['app', ...Array.from({ length: 99 }, (_, index) => `app-${index + 2}`)]
	assert.deepEqual(claimed.sort(), [...expected].sort())
	const entries = Object.entries(at.json().watchers)
	assert.equal(entries.length, 100)
	for (const [id, entry] of entries) assert.equal(entry.id, id)
	assert.equal(new Set(entries.map(([, { pid }]) => pid)).size, 100)
})

test('a claim replaces the entry of a dead process, of this host only', async (t) => {
	const at = folder(t)
	const pid = await deadPid()
	const { execPath } = process
	const reused = { pid: process.pid, startedAt: 1, updatedAt: 1 }
	const watchers = {
		dead: record('dead', { pid }),
		reused: record('reused', reused),
		far: record('far', { pid, host: 'elsewhere.example.org' }),
		lan: record('lan', { ...reused, host: '192.168.1.7' }),
		alive: record('alive'),
	}
	at.put(print({ ...EMPTY, watchers }))
	const claimed = async (id, options) =>
		(await claimWatcher(at.path, record(id, { cwd: execPath }), options)).watcher.id
	assert.equal(await claimed('dead', { liveness: false }), 'dead-2')
	assert.equal(await claimed('dead'), 'dead')
	assert.equal(at.json().watchers.dead.cwd, execPath)
	assert.equal(await claimed('reused'), 'reused')
	assert.equal(await claimed('far'), 'far-2')
	assert.equal(await claimed('lan'), 'lan-2')
	assert.equal(await claimed('alive'), 'alive-2')
	assert.equal(await claimed('alive'), 'alive-3')
})

test('without a suffix a claim gets the id, or fails', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	const options = { suffix: false }
	assert.equal((await claimWatcher(at.path, watcher, options)).claim.id, 'app')
	const text = at.text()
	await assert.rejects(claimWatcher(at.path, watcher, options), {
		name: 'RegistryError',
		code: 'ID_TAKEN',
		path: at.path,
		message: `the id 'app' is another watcher's in ${at.path} (process ${process.pid}); choose another id, or wait until that watcher has ended or its entry has expired`,
	})
	assert.equal(at.text(), text)
	await announceWatcher(at.path, record('app', { pid: await deadPid() }))
	assert.deepEqual((await claimWatcher(at.path, watcher, options)).watcher, watcher)
	at.put(print({ ...EMPTY, watchers: { app: null } }))
	await assert.rejects(claimWatcher(at.path, watcher, options), {
		code: 'ID_TAKEN',
		message: `the id 'app' is another watcher's in ${at.path}; choose another id, or wait until that watcher has ended or its entry has expired`,
	})
})

test('pruning is by age, and by liveness with the option', async (t) => {
	const at = folder(t)
	assert.equal(DEFAULT_TTL_MS, 60_000)
	const pid = await deadPid()
	const now = Date.now()
	const watchers = {
		young: record('young', { updatedAt: now - DEFAULT_TTL_MS }),
		old: record('old', { updatedAt: now - DEFAULT_TTL_MS - 1 }),
		ahead: record('ahead', { updatedAt: now + 1e9 }),
		dead: record('dead', { pid }),
		far: record('far', { pid, host: 'elsewhere.example.org', updatedAt: now - 1 }),
		oldAndDead: record('oldAndDead', { pid, updatedAt: 0 }),
	}
	at.put(print({ ...EMPTY, watchers }))
	const pruned = async (options) =>
		(await pruneStaleWatchers(at.path, { now, ...options })).map(({ id, reason }) => [id, reason])
	assert.deepEqual(await pruned({ ttlMs: Number.POSITIVE_INFINITY }), [])
	assert.deepEqual(await pruned(), [
		['old', 'expired'],
		['oldAndDead', 'expired'],
	])
	assert.deepEqual(await pruned({ liveness: true }), [['dead', 'dead']])
	assert.deepEqual(at.ids(), ['young', 'ahead', 'far'])
	assert.deepEqual(await pruned({ ttlMs: 0 }), [
		['young', 'expired'],
		['far', 'expired'],
	])
	assert.equal(at.json().updatedAt, now)
	at.put(print({ ...EMPTY, watchers: { oldAndDead: watchers.oldAndDead } }))
	assert.deepEqual(await pruned({ liveness: true }), [['oldAndDead', 'expired']])
})

test('a process that may not be signalled counts as alive', {
	skip: skipIf(process.platform === 'win32', 'there is no such permission here'),
}, async (t) => {
	const at = folder(t)
	chmodSync(at.dir, 0o777)
	// The pid of the first process of the system, which is no watcher.
	at.put(
		print({ ...EMPTY, watchers: { app: record('app', { pid: 1, startedAt: 1, updatedAt: 2 }) } }),
	)
	const { now, claim } = runUnprivileged(`
		const path = ${JSON.stringify(at.path)}
		const now = await outcome(registry.pruneStaleWatchers(path, { ttlMs: Infinity, liveness: true }))
		const claim = await outcome(registry.claimWatcher(path, ${JSON.stringify(record('app'))}))
		console.log(JSON.stringify({ now, claim }))`)
	assert.deepEqual(now, { value: [] })
	assert.equal(claim.value.claim.id, 'app-2')
})

test('a registry that may not be read is an error, not an empty list', {
	skip: skipIf(process.platform === 'win32', 'there is no such permission here'),
}, async (t) => {
	const at = folder(t)
	const dir = `${at.dir}/locked`
	mkdirSync(dir)
	chmodSync(at.dir, 0o755)
	const path = `${dir}/registry.json`
	await announceWatcher(path, record('app'))
	chmodSync(dir, 0o000)
	const outcomes = runUnprivileged(`
		const path = ${JSON.stringify(path)}
		const calls = [registry.heartbeatWatcher(path, 'app'), registry.removeWatcher(path, 'app'),
			registry.pruneStaleWatchers(path)]
		console.log(JSON.stringify(await Promise.all(calls.map(outcome))))`)
	chmodSync(dir, 0o755)
	for (const { code } of outcomes) assert.equal(code, 'PERMISSION_DENIED')
})
