// The entry operations: announce, claim, heartbeat, remove, prune. The races that they close are in
// races.test.mjs.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
	announceWatcher,
	claimWatcher,
	createEmptyRegistry,
	DEFAULT_TTL_MS,
	heartbeatWatcher,
	inspectLock,
	listWatchers,
	pruneStaleWatchers,
	readRegistry,
	removeWatcher,
	removeWatcherEntry,
	setWatcherEntry,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
} from '../index.js'
import { EMPTY, folder, print, record } from './support/folder.mjs'
import { puppet, puppets, rustExample } from './support/processes.mjs'
import { packageFile, run, runUnprivileged } from './support/script.mjs'
import { skipIf } from './support/skip.mjs'

const LONG = { timeoutMs: 120_000, durable: false }

/** The pid of a process that is gone. */
const deadPid = async () => {
	const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
	await once(child, 'exit')
	return child.pid
}

/** Another process that holds the lock until it is told to settle. */
const held = async (t, at) => {
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: LONG })
	await holder.expect('holding')
	return holder
}

/** Waits for the lock with operations behind it, until `next` has the first of those go on. */
const inFront = (at) => {
	const controller = new AbortController()
	const options = { ...LONG, signal: controller.signal }
	const waiting = announceWatcher(at.path, record('in front'), options)
	return async () => {
		const { lines } = globalThis[Symbol.for('argus-registry.turns.1')]
		const [first] = lines.get(at.path)
		controller.abort()
		await assert.rejects(waiting, { code: 'ABORTED' })
		while (lines.get(at.path)?.[0] === first) await new Promise((resolve) => setImmediate(resolve))
		// Whoever goes on has done so by now.
		await new Promise((resolve) => setImmediate(resolve))
	}
}

test('an entry comes, is renewed, and goes; each dates the registry', async (t) => {
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

test('a large registry is as JavaScript would print it after every beat', async (t) => {
	const at = folder(t)
	const now = { now: 1_700_000_000_000 }
	const watchers = Object.fromEntries(
		Array.from({ length: 300 }, (_, n) => [`é-${n}`, record(`é-${n}`, { updatedAt: n })]),
	)
	const registry = { version: 1, updatedAt: 1, watchers, later: ['\ud800', { é: 1e21 }] }
	at.put(print(registry))
	const beat = async (id, options) => {
		assert.equal(await heartbeatWatcher(at.path, id, options), true)
		registry.updatedAt = options.now
		watchers[id].updatedAt = options.now
		assert.equal(at.text(), print(registry))
	}
	await beat('é-7', now)
	await beat('é-7', now)
	await beat('é-299', { now: 5 })
	// Another process renews entries, and makes one longer.
	watchers['é-0'].updatedAt = now.now
	watchers['é-100'].cwd = '\udc00'
	at.put(print(registry))
	await beat('é-298', now)
	await Promise.all(
		['é-1', 'é-200', 'nobody', 'é-1'].map((id) => heartbeatWatcher(at.path, id, now)),
	)
	watchers['é-1'].updatedAt = watchers['é-200'].updatedAt = now.now
	assert.equal(at.text(), print(registry))
	watchers['é-3'] = record('é-3', { port: 3, source: { é: [] } })
	await announceWatcher(at.path, watchers['é-3'], now)
	assert.equal(at.text(), print(registry))
	// Another adds one, in front of all others.
	watchers[7] = record('7')
	at.put(print(registry))
	await beat('é-3', { now: 6 })
	await removeWatcher(at.path, 'é-4', { now: 7 })
	delete watchers['é-4']
	await beat('7', { now: 8 })
	assert.deepEqual(at.others(), [])
})

test('without `now` it is the time when the lock is held', async (t) => {
	const at = folder(t)
	const before = Date.now()
	await announceWatcher(at.path, record('app', { updatedAt: 0 }))
	await heartbeatWatcher(at.path, 'app')
	const { updatedAt, watchers } = at.json()
	assert.equal(watchers.app.updatedAt, updatedAt)
	assert.ok(updatedAt >= before && updatedAt <= Date.now())
	const holder = await held(t, at)
	const waiting = announceWatcher(at.path, record('app'), LONG)
	const calledAt = Date.now()
	while (Date.now() <= calledAt + 20) await new Promise((resolve) => setImmediate(resolve))
	const freeAt = Date.now()
	holder.settle()
	await waiting
	assert.ok(at.json().updatedAt >= freeAt, 'not when it was called')
})

test('what an operation does not touch keeps its bytes', async (t) => {
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
	for (const who of ['constructor', claim]) {
		assert.equal(await heartbeatWatcher(at.path, who, { now: 2 }), true)
		const expected = text.replace('"updatedAt": 1,', '"updatedAt": 2,').replace('1e3', '2')
		assert.equal(at.text(), expected)
		at.put(text)
	}
	await announceWatcher(at.path, record('new', { id: 'new' }), { now: 1 })
	await removeWatcher(at.path, 'new', { now: 1 })
	assert.equal(at.text(), text)
})

test('with nothing to do nothing is written, locked or made', async (t) => {
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
	const nobody = { id: 'd', pid: 0, startedAt: 0 }
	for (const d of [{}, { pid: 0 }, { startedAt: 0 }, { pid: '0', startedAt: 0 }, null]) {
		at.put(print({ ...EMPTY, watchers: { d } }))
		assert.equal(await removeWatcher(at.path, nobody), false)
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

test('names and members that only JavaScript can hold are no obstacle to pruning', async (t) => {
	const at = folder(t)
	const old = { ...record('x'), host: '\ud800', pid: 'mine', startedAt: null, updatedAt: 0 }
	at.put(print({ ...EMPTY, watchers: { '\ud800': old, __proto__: null, '\udc00': record('y') } }))
	const pruned = await pruneStaleWatchers(at.path)
	assert.deepEqual(pruned, [{ id: '\ud800', watcher: old, reason: 'expired' }])
	assert.deepEqual(at.ids(), ['\udc00'])
})

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
		t.after(() => child.kill('SIGKILL'))
		return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() }
	})
	for (const { lines } of rust) assert.equal((await lines.next()).value, 'ready')
	for (const { child } of rust) child.stdin.write('go\n')
	for (const node of nodes) {
		node.start('claim', { path: at.path, watcher: record('app'), options: LONG })
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
		message: `the id 'app' is another watcher's in ${at.path} (process ${process.pid}); end that watcher, or choose another id`,
	})
	assert.equal(at.text(), text)
	await announceWatcher(at.path, record('app', { pid: await deadPid() }))
	assert.deepEqual((await claimWatcher(at.path, watcher, options)).watcher, watcher)
	at.put(print({ ...EMPTY, watchers: { app: null } }))
	await assert.rejects(claimWatcher(at.path, watcher, options), {
		code: 'ID_TAKEN',
		message: `the id 'app' is another watcher's in ${at.path}; end that watcher, or choose another id`,
	})
})

test('pruning is by age, and by liveness if asked to', async (t) => {
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
	// That of the first process, and no watcher of anybody's.
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

test('what may not be looked at is an error, not nothing', {
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

test('1,000 concurrent operations take the lock a few times, and all are there, in order', async (t) => {
	const at = folder(t)
	const holds = new Set()
	const hold = () => holds.add(JSON.parse(readFileSync(at.guard, 'utf8')).nonce)
	const claims = Array.from({ length: 1_000 }, async (_, index) => {
		const { claim } = await claimWatcher(at.path, record('app', { port: index }), LONG)
		hold()
		return claim.id
	})
	const claimed = await Promise.all(claims)
	const expected = ['app', ...Array.from({ length: 999 }, (_, index) => `app-${index + 2}`)]
	assert.deepEqual(claimed, expected)
	assert.deepEqual(at.ids(), expected)
	assert.equal(at.json().watchers['app-500'].port, 499)
	assert.ok(holds.size <= 5, `${holds.size} holds`)
})

/** Notes what is asked of the addon for each lock: how many, for how long, and how durably. */
const askedOf = (t) => {
	const native = createRequire(packageFile)('./lib/native.js')
	const { applyEntries } = native
	const asked = []
	native.applyEntries = (...args) => {
		const [, operations, , elapsedMs, , durable] = args
		asked.push({ count: operations.length, elapsedMs, durable })
		return applyEntries(...args)
	}
	t.after(() => {
		native.applyEntries = applyEntries
	})
	return asked
}

test('500 at most are done under one lock, and durably if one of them is to be', async (t) => {
	const at = folder(t)
	const asked = askedOf(t)
	const announced = Array.from({ length: 600 }, (_, index) =>
		announceWatcher(at.path, record(`app-${index}`), { ...LONG, durable: index === 550 }),
	)
	await Promise.all(announced)
	assert.deepEqual(
		asked.map(({ count, durable }) => [count, durable]),
		[
			[1, false],
			[500, false],
			[99, true],
		],
	)
})

test('the time that was spent in line is not granted again', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const asked = askedOf(t)
	const timers = []
	const { setTimeout } = globalThis
	t.after(() => {
		globalThis.setTimeout = setTimeout
	})
	const next = inFront(at)
	const announced = ['app', 'with it'].map((id) => announceWatcher(at.path, record(id), LONG))
	const startedAt = performance.now()
	while (performance.now() < startedAt + 20) await new Promise((resolve) => setImmediate(resolve))
	globalThis.setTimeout = (run, ms, ...args) => {
		timers.push(ms)
		return setTimeout(run, ms, ...args)
	}
	await next()
	holder.settle()
	await Promise.all(announced)
	globalThis.setTimeout = setTimeout
	const { count, elapsedMs } = asked[1]
	assert.equal(count, 2)
	assert.ok(elapsedMs >= 20, `${elapsedMs} ms`)
	// Of the one that was taken along.
	assert.equal(timers.length, 1)
	assert.ok(timers[0] <= LONG.timeoutMs - 20, `${timers[0]} ms`)
})

test('operations and updates keep their order, whatever they are', async (t) => {
	const at = folder(t)
	const seen = []
	const look = () =>
		updateRegistry(
			at.path,
			(registry) => {
				seen.push(Object.keys(registry.watchers).join())
				return registry
			},
			LONG,
		)
	await Promise.all([
		announceWatcher(at.path, record('a'), LONG),
		announceWatcher(at.path, record('b'), LONG),
		look(),
		removeWatcher(at.path, 'a', LONG),
		announceWatcher(at.path, record('c', { updatedAt: 0 }), LONG),
		look(),
		pruneStaleWatchers(at.path, LONG),
		look(),
		withRegistryLock(at.path, async () => seen.push('held'), LONG),
		removeWatcher(at.path, 'b', LONG),
	])
	assert.deepEqual(seen, ['a,b', 'b,c', 'b', 'held'])
	assert.deepEqual(at.ids(), [])
})

test('no JavaScript runs while one holds the lock: a blocked event loop holds up nobody', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const flag = new SharedArrayBuffer(4)
	const worker = new Worker(
		`const { parentPort, workerData: { packageFile, path, flag } } = require('node:worker_threads')
		const { readRegistrySync, updateRegistrySync } = require(packageFile)
		parentPort.postMessage('ready')
		while (!readRegistrySync(path).registry.watchers.app);
		updateRegistrySync(path, (registry) => ({ ...registry, seen: true }), { timeoutMs: 60000 })
		Atomics.store(new Int32Array(flag), 0, 1)
		Atomics.notify(new Int32Array(flag), 0)`,
		{ eval: true, workerData: { packageFile, path: at.path, flag } },
	)
	t.after(() => worker.terminate())
	await once(worker, 'message')
	const announced = announceWatcher(at.path, record('app'), LONG)
	// Until here nobody but this thread could have gone on; from here it can't.
	assert.notEqual(Atomics.wait(new Int32Array(flag), 0, 0, 60_000), 'timed-out')
	await announced
	assert.equal(at.json().seen, true)
})

test('a synchronous update may come while an operation is under way, not inside of an updater', async (t) => {
	const at = folder(t)
	const announced = announceWatcher(at.path, record('app'), LONG)
	updateRegistrySync(at.path, (registry) => ({ ...registry, sync: true }), LONG)
	await announced
	assert.equal(at.json().sync, true)
	const holder = await held(t, at)
	const next = inFront(at)
	const together = ['b', 'c', 'd'].map((id) => announceWatcher(at.path, record(id), LONG))
	await next()
	holder.settle()
	updateRegistrySync(at.path, (registry) => ({ ...registry, sync: 2 }), LONG)
	await Promise.all(together)
	assert.equal(at.json().sync, 2)
	const refused = { name: 'RegistryError', code: 'RE_ENTRANT' }
	await updateRegistry(at.path, async (registry) => {
		await assert.rejects(announceWatcher(at.path, record('e')), refused)
		await assert.rejects(pruneStaleWatchers(at.path), refused)
		return registry
	})
	assert.deepEqual(at.ids(), ['app', 'b', 'c', 'd'])
})

test('who waits too long is told who holds the lock; the others get their turn', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const impatient = [0, 1, 30].map((timeoutMs) =>
		announceWatcher(at.path, record(`impatient-${timeoutMs}`), { timeoutMs }),
	)
	const patient = [1, 2].map((n) => announceWatcher(at.path, record(`patient-${n}`), LONG))
	const codes = []
	for (const { reason } of await Promise.allSettled(impatient)) {
		codes.push(reason.code)
		assert.equal(reason.holder.pid, holder.pid)
		assert.equal(reason.path, at.path)
	}
	assert.deepEqual(codes, ['LOCK_BUSY', 'LOCK_TIMEOUT', 'LOCK_TIMEOUT'])
	holder.settle()
	await Promise.all(patient)
	assert.deepEqual(at.ids(), ['patient-1', 'patient-2'])
})

test('those that wait together leave by their own time and signal; the others stay', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const next = inFront(at)
	const controller = new AbortController()
	const patient = [announceWatcher(at.path, record('first'), LONG)]
	const aborted = announceWatcher(at.path, record('aborted'), {
		...LONG,
		signal: controller.signal,
	})
	const impatient = announceWatcher(at.path, record('impatient'), { timeoutMs: 300 })
	patient.push(announceWatcher(at.path, record('last'), LONG))
	await next()
	controller.abort()
	await assert.rejects(aborted, { code: 'ABORTED' })
	await assert.rejects(impatient, (error) => {
		assert.deepEqual([error.code, error.holder.pid], ['LOCK_TIMEOUT', holder.pid])
		return true
	})
	holder.settle()
	await Promise.all(patient)
	assert.deepEqual(at.ids(), ['first', 'last'])
})

test('a prune with nothing to do waits for no lock, whatever is behind it', async (t) => {
	const at = folder(t)
	at.put(print({ ...EMPTY, watchers: { app: record('app') } }))
	const holder = await held(t, at)
	const next = inFront(at)
	const pruned = pruneStaleWatchers(at.path, LONG)
	const announced = announceWatcher(at.path, record('last'), LONG)
	await next()
	assert.deepEqual(await pruned, [])
	holder.settle()
	await announced
	assert.deepEqual(at.ids(), ['app', 'last'])
})

test('who is told of the end finds its turn over', async (t) => {
	const at = folder(t)
	const once = { timeoutMs: 0, durable: false }
	for (let round = 0; round < 20; round += 1) {
		const announced = Array.from({ length: round }, () =>
			announceWatcher(at.path, record('app'), LONG),
		)
		await Promise.all([...announced, announceWatcher(at.path, record('last'), LONG)])
		await removeWatcher(at.path, 'last', once)
		await heartbeatWatcher(at.path, 'last', once)
	}
})

test('an aborted operation is not done, and does not hold up those behind it', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const mine = new Error('mine')
	const controllers = [0, 1, 2].map(() => new AbortController())
	const aborted = controllers.map(({ signal }, index) =>
		announceWatcher(at.path, record(`aborted-${index}`), { ...LONG, signal }),
	)
	const last = announceWatcher(at.path, record('last'), LONG)
	// The one that waits for the lock, one that was taken along, and one that was aborted before.
	for (const index of [1, 0, 2]) {
		controllers[index].abort(mine)
		await assert.rejects(aborted[index], { code: 'ABORTED', cause: mine })
	}
	await assert.rejects(
		announceWatcher(at.path, record('never'), { signal: AbortSignal.abort(mine) }),
		{ code: 'ABORTED', cause: mine },
	)
	holder.settle()
	await last
	assert.deepEqual(at.ids(), ['last'])
})

test('what has begun is not aborted: what came of it is the answer', async (t) => {
	const at = folder(t)
	for (let round = 0; round < 50; round += 1) {
		const controller = new AbortController()
		const id = `app-${round}`
		const announced = announceWatcher(at.path, record(id), { ...LONG, signal: controller.signal })
		// Somewhere in the middle, at another point each time.
		for (let turn = 0; turn < round % 10; turn += 1) {
			await new Promise((resolve) => setImmediate(resolve))
		}
		controller.abort()
		const [{ status, reason }] = await Promise.allSettled([announced])
		if (status === 'rejected') assert.equal(reason.code, 'ABORTED')
		const { registry } = await readRegistry(at.path)
		assert.equal(id in registry.watchers, status === 'fulfilled', `${id}: ${status}`)
	}
})

test('a failure is that of all it was the failure of', async (t) => {
	const at = folder(t)
	at.put('{"version":2}')
	const settled = await Promise.allSettled([
		announceWatcher(at.path, record('a')),
		heartbeatWatcher(at.path, 'a'),
		removeWatcher(at.path, 'a'),
		pruneStaleWatchers(at.path),
	])
	for (const { reason } of settled) assert.equal(reason.code, 'UNSUPPORTED_VERSION')
	assert.equal(at.text(), '{"version":2}')
})

test('a commit that fails is the failure of all that are in it, and of nobody else', {
	skip: skipIf(process.platform === 'win32', 'there is no such limit here'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const big = record('big', { more: 'x'.repeat(200_000) })
	const settled = run(
		`const path = ${JSON.stringify(at.path)}
		const announce = (watcher) => outcome(registry.announceWatcher(path, watcher))
		const all = [
			announce(${JSON.stringify(record('first'))}),
			announce(${JSON.stringify(big)}),
			announce(${JSON.stringify(record('with it'))}),
			outcome(registry.pruneStaleWatchers(path)),
			announce(${JSON.stringify(record('last'))}),
		]
		console.log(JSON.stringify(await Promise.all(all)))`,
		{
			// The signal that comes with the limit would end the process before the error is seen.
			wrap: (command) => ['sh', '-c', 'trap "" XFSZ; ulimit -f 100; exec "$@"', 'sh', ...command],
		},
	)
	assert.deepEqual(
		settled.map(({ cause }) => cause),
		[undefined, 'EFBIG', 'EFBIG', undefined, undefined],
	)
	assert.deepEqual(settled[3].value, [])
	assert.deepEqual(at.ids(), ['first', 'last'])
})

test('corrupt bytes are kept by who writes, and by nobody else', async (t) => {
	const at = folder(t)
	at.put('bad')
	const warned = []
	const options = { ...LONG, onWarning: (warning) => warned.push(warning) }
	assert.equal(await heartbeatWatcher(at.path, 'app', options), false)
	assert.equal(await removeWatcher(at.path, 'app', options), false)
	assert.deepEqual(await pruneStaleWatchers(at.path, options), [])
	assert.equal(at.text(), 'bad')
	assert.deepEqual(warned, [])
	await announceWatcher(at.path, record('app'), options)
	assert.deepEqual(at.ids(), ['app'])
	assert.deepEqual([warned.length, warned[0].code, warned[0].path], [1, 'CORRUPT', at.path])
	assert.match(
		warned[0].message,
		/was not a registry \(.+\); it was replaced, and its bytes are kept/,
	)
	assert.equal(readFileSync(warned[0].kept, 'utf8'), 'bad')
})

test('an operation that lost its lock is done again, on fresh content', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	let rounds = 0
	const options = { ...LONG, durable: true }
	// What an old argus does that takes the lock for stale, over and over, while others announce.
	const rob = () => {
		try {
			unlinkSync(at.lockfile)
			rounds += 1
		} catch {
			// Not held just now.
		}
	}
	for (let index = 0; index < 100; index += 1) {
		const announced = announceWatcher(at.path, record(`app-${index}`), options)
		let isDone = false
		const done = announced.finally(() => (isDone = true))
		while (!isDone) {
			rob()
			await new Promise((resolve) => setImmediate(resolve))
		}
		await done
	}
	assert.equal(at.ids().length, 100)
	assert.ok(rounds > 0, 'no lock was taken away')
})

/** An old argus that takes every lock for stale, until the file `END` is there. */
const robberSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int linkat(int from, const char *old, int to, const char *name, int flags) {
	int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
	int result = real(from, old, to, name, flags);
	if (strstr(name, ".lock") && access(getenv("END"), F_OK)) unlink(name);
	return result;
}`

test('who loses its lock again and again may leave all the same, and holds up nobody', {
	skip: skipIf(process.platform !== 'linux', 'needs LD_PRELOAD'),
}, (t) => {
	const at = folder(t)
	const [source, library, end] = ['robber.c', 'robber.so', 'end'].map((name) => join(at.dir, name))
	writeFileSync(source, robberSource)
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
	const { outcomes } = run(
		`const { writeFileSync } = await import('node:fs')
		const path = ${JSON.stringify(at.path)}
		const watcher = (id) => ({ ...${JSON.stringify(record('app'))}, id })
		const controllers = [0, 1].map(() => new AbortController())
		const announce = (id, options) => outcome(registry.announceWatcher(path, watcher(id), options))
		const patient = { timeoutMs: 60000 }
		const leaving = controllers.map(({ signal }, index) =>
			announce('leaves-' + index, { ...patient, signal }))
		const late = announce('late', { timeoutMs: 200 })
		const stays = announce('stays', patient)
		const outcomes = [await late]
		for (const controller of controllers) controller.abort()
		outcomes.push(...(await Promise.all(leaving)))
		writeFileSync(${JSON.stringify(end)}, '')
		outcomes.push(await stays)
		console.log(JSON.stringify({ outcomes }))`,
		{ env: { ...process.env, LD_PRELOAD: library, END: end } },
	)
	const codes = outcomes.map(({ code }) => code)
	assert.ok(['LOCK_LOST', 'LOCK_TIMEOUT'].includes(codes[0]), codes[0])
	assert.deepEqual(codes.slice(1), ['ABORTED', 'ABORTED', undefined])
	assert.deepEqual(at.ids(), ['stays'])
})

test('who takes a lockfile for stale sooner than others does not wait with them', async (t) => {
	const at = folder(t)
	writeFileSync(at.lockfile, '')
	const waits = announceWatcher(at.path, record('waits'), { timeoutMs: 60_000, staleMs: 1e9 })
	waits.catch(() => {})
	const late = announceWatcher(at.path, record('late'), { timeoutMs: 200, staleMs: 1e9 })
	const sooner = announceWatcher(at.path, record('sooner'), { timeoutMs: 60_000, staleMs: 0 })
	await assert.rejects(late, { code: 'LOCK_TIMEOUT' })
	unlinkSync(at.lockfile)
	await Promise.all([waits, sooner])
	writeFileSync(at.lockfile, '')
	await announceWatcher(at.path, record('alone'), { timeoutMs: 0, staleMs: 0 })
	assert.deepEqual(at.ids(), ['waits', 'sooner', 'alone'])
})

test('a handler that throws whatever it likes changes nothing of what is done', async (t) => {
	for (const thrown of [Object.create(null), null, new Error('mine'), 7]) {
		const at = folder(t)
		at.put('bad')
		const onWarning = () => {
			throw thrown
		}
		const both = await Promise.allSettled([
			announceWatcher(at.path, record('a'), { ...LONG, onWarning }),
			announceWatcher(at.path, record('b'), LONG),
		])
		assert.deepEqual(
			both.map(({ status }) => status),
			['fulfilled', 'fulfilled'],
		)
		assert.deepEqual(at.ids(), ['a', 'b'])
	}
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
		// An id is whose; an empty one is nobody's; and without a host it is a claim.
		if (typeof bad === 'string' || bad === noHost || bad?.id === '') continue
		await assert.rejects(heartbeatWatcher(at.path, bad), refused)
	}
	const claim = { id: 'app', pid: 1, startedAt: 1 }
	for (const bad of [
		{ ...claim, id: 7 },
		{ ...claim, pid: -1 },
		{ ...claim, startedAt: -1 },
	]) {
		const told = { ...refused, message: /whose entry is meant must be said by id, by claim/ }
		await assert.rejects(heartbeatWatcher(at.path, bad), told)
		await assert.rejects(removeWatcher(at.path, bad), told)
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
	const codec = { empty: () => ({}) }
	await assert.rejects(announceWatcher(at.path, watcher, { codec }), refused)
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

test('the pure helpers change nothing that they are given, and are safe for any id', () => {
	const empty = createEmptyRegistry(1)
	for (const id of ['__proto__', 'constructor', 'app']) {
		assert.equal(removeWatcherEntry(empty, id), empty)
		const one = setWatcherEntry(empty, record(id), 2)
		assert.deepEqual([Object.keys(one.watchers), one.updatedAt], [[id], 2])
		assert.equal(Object.getPrototypeOf(one.watchers), Object.prototype)
		assert.deepEqual(listWatchers(one).length, 1)
		const two = setWatcherEntry({ ...one, note: 7 }, record(id, { port: 1 }), 3)
		assert.deepEqual([Object.values(two.watchers)[0].port, two.note], [1, 7])
		assert.equal(Object.values(one.watchers)[0].port, 9222)
		assert.deepEqual(removeWatcherEntry(two, id, 4), { ...createEmptyRegistry(4), note: 7 })
	}
	const odd = JSON.parse(
		'{"version":1,"updatedAt":0,"watchers":{"a":null,"b":[],"__proto__":{"id":"x"}}}',
	)
	assert.deepEqual(listWatchers(odd), [{ id: 'x' }])
	assert.deepEqual(Object.keys(removeWatcherEntry(odd, 'a').watchers), ['b', '__proto__'])
	assert.deepEqual(Object.keys(removeWatcherEntry(odd, '__proto__').watchers), ['a', 'b'])
	assert.deepEqual(empty, createEmptyRegistry(1))
	const before = Date.now()
	assert.ok(setWatcherEntry(empty, record('a')).updatedAt >= before)
})
