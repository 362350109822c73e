// docs/adopting-in-argus.md: its code is compiled, and does what the guide says.

import assert from 'node:assert/strict'
import {
	chmodSync,
	closeSync,
	existsSync,
	openSync,
	readdirSync,
	readFileSync,
	statSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import * as store from '../index.js'
import { EMPTY, folder, print } from './support/folder.mjs'
import { blocksOf, build, guideText } from './support/guide.mjs'
import { load } from './support/guide-modules.mjs'
import { puppet } from './support/processes.mjs'
import { acquireSeedLock, updateWithSeedLock } from './support/seed-lock.mjs'

const guide = build(guideText())
after(guide.remove)
const { core, lock, watcher } = await load(guide.dir)

/** What has to end before its folder is removed: it would make the folder anew. */
const ends = []

/** A folder whose registry is the one that argus means. */
const home = (t) => {
	t.after(() => Promise.all(ends.splice(0).map((end) => end())))
	const at = folder(t)
	process.env.ARGUS_REGISTRY_PATH = at.path
	return at
}

/** A process of argus on the guide's code. */
const argus = async (t, at) => {
	const process = puppet(t, 'guide-puppet.mjs', [guide.dir, at.path])
	await process.expect('ready')
	return {
		...process,
		do: (task, details) => {
			process.start(task, details)
			return process.expect('done')
		},
	}
}

const record = (id, more = {}) => ({
	id,
	host: '127.0.0.1',
	port: 9222,
	pid: process.pid,
	startedAt: Date.now(),
	updatedAt: Date.now(),
	...more,
})

/** A watcher that has an id, is entered under it, and is removed with the test. */
const started = async (id, more) => {
	const own = record(await watcher.resolveUniqueWatcherId(id), more)
	ends.push(() => watcher.removeWatcher(own.id))
	await watcher.announceWatcher(own)
	return own
}

/** What is said on the console, instead of there. */
const listen = (t) => {
	const { error } = console
	const said = []
	console.error = (...words) => said.push(words)
	t.after(() => {
		console.error = error
	})
	return said
}

/** Waits for what must come, however slow the machine is; not for ever, as it may be broken. */
const until = async (holds) => {
	const deadline = Date.now() + 20_000
	while (!holds()) {
		assert.ok(Date.now() < deadline, `still not so: ${holds}`)
		await delay(5)
	}
}

test('the code compiles, strictly, with the signatures that argus’s callers use', () => {
	assert.equal(guide.problems.join(''), '')
	assert.ok(guide.names.includes('packages/argus-core/src/registry/lock.ts'))
	assert.ok(guide.names.includes('packages/argus-core/src/registry/registry.ts'))
	assert.ok(guide.names.includes('packages/argus-watcher/src/registry/registry.ts'))
})

test('a block that names no file, or does not compile, is noticed', () => {
	assert.throws(() => blocksOf('```ts\nconst x = 1\n```\n'), /names no file/)
	const wrong = guideText().replace('warnings.map(({ message }) => message)', 'warnings')
	assert.notEqual(wrong, guideText())
	const built = build(wrong)
	built.remove()
	assert.match(built.problems.join(''), /registry\.ts.*RegistryWarning\[\]/s)
})

test('reading: a registry, and warnings that are sentences', async (t) => {
	const at = home(t)
	const read = async () => {
		const { registry, warnings } = await core.readRegistry()
		assert.deepEqual(registry.watchers, {})
		return warnings
	}
	assert.match((await read()).join(), /registry\.json does not exist yet/)
	at.put('{"watchers"')
	assert.match((await read()).join(), /is not a registry/)
	at.put('{"version":2}')
	assert.match((await read()).join(), /has schema version 2/)
	at.put(print(EMPTY))
	assert.deepEqual(await read(), [])
})

test('updating: the updater comes first, may be async, and may change what it is given', async (t) => {
	const at = home(t)
	const other = `${at.path}.other`
	const next = await core.updateRegistry((registry) => core.setWatcherEntry(registry, record('a')))
	assert.deepEqual(next, at.json())
	await core.updateRegistry(async (registry) => {
		await delay(1)
		registry.watchers.a.port = 7
		return registry
	})
	assert.equal(at.json().watchers.a.port, 7)
	await core.updateRegistry((registry) => registry, other)
	assert.equal(existsSync(other), false, 'the same registry unchanged writes nothing')
	await core.writeRegistry(at.json(), other)
	assert.deepEqual(JSON.parse(readFileSync(other, 'utf8')), at.json())
	const error = new Error('the caller’s own')
	const thrower = () => {
		throw error
	}
	await assert.rejects(core.updateRegistry(thrower), (thrown) => thrown === error)
	await assert.rejects(
		core.updateRegistry((registry) => core.updateRegistry((inner) => inner).then(() => registry)),
		{ name: 'RegistryError', code: 'RE_ENTRANT' },
	)
})

test('bad content is kept and warned of, a newer schema is refused', async (t) => {
	const at = home(t)
	at.put('not JSON')
	const warned = new Promise((resolve) => process.once('warning', resolve))
	await core.updateRegistry((registry) => core.setWatcherEntry(registry, record('a')))
	assert.equal((await warned).code, 'CORRUPT')
	const [kept] = readdirSync(at.dir).filter((name) => name.includes('.corrupt-'))
	assert.equal(readFileSync(join(at.dir, kept), 'utf8'), 'not JSON')
	assert.deepEqual(Object.keys(at.json().watchers), ['a'])

	const newer = '{"version":2,"sessions":[]}'
	at.put(newer)
	const refused = { code: 'UNSUPPORTED_VERSION' }
	await assert.rejects(
		core.updateRegistry((registry) => ({ ...registry })),
		refused,
	)
	await assert.rejects(core.writeRegistry(core.createEmptyRegistry()), refused)
	await assert.rejects(core.readAndPruneRegistry(), refused)
	await assert.rejects(watcher.resolveUniqueWatcherId('app'), refused)
	const underLock = lock.withRegistryLock(() => core.writeRegistry(core.createEmptyRegistry()))
	await assert.rejects(underLock, refused)
	assert.equal(at.text(), newer)
})

test('new and old processes update side by side and lose nothing', async (t) => {
	const at = home(t)
	at.put(print({ ...EMPTY, count: 0 }))
	const mine = await Promise.all(Array.from({ length: 4 }, () => argus(t, at)))
	const old = [puppet(t), puppet(t)]
	// Old ones give up after 2 s, which says nothing about loss.
	const options = { timeoutMs: 60_000 }
	for (const each of old) each.start('incrementWithSeedLock', { path: at.path, times: 10, options })
	await Promise.all([
		...mine.map((each, index) =>
			each.do(index % 2 ? 'increment' : 'incrementUnderLock', { times: 10 }),
		),
		...old.map((each) => each.expect('done')),
	])
	assert.equal(at.json().count, 60)
	assert.deepEqual(at.others(), [])
})

test('under the lock: read and write, as argus does', async (t) => {
	const at = home(t)
	at.put(print({ ...EMPTY, count: 1 }))
	const value = await lock.withRegistryLock(async () => {
		for (let i = 0; i < 2; i += 1) {
			const { registry } = await core.readRegistry()
			await core.writeRegistry({ ...registry, count: registry.count * 3 })
		}
		assert.equal((await store.inspectLock(at.path)).state, 'held')
		return 'value'
	})
	assert.equal(value, 'value')
	assert.equal(at.json().count, 9)
})

test('under the lock: what would wait for itself is refused at once', async (t) => {
	const at = home(t)
	const alias = join(at.dir, 'alias.json')
	symlinkSync(at.path, alias)
	const again = [
		() => core.writeRegistry(EMPTY, alias),
		() => core.updateRegistry((registry) => registry),
		() => core.removeWatcherAndPersist('app'),
		() => watcher.resolveUniqueWatcherId('app'),
		() => lock.withRegistryLock(async () => {}),
	]
	await core.writeRegistry(core.createEmptyRegistry())
	for (const call of again) {
		await assert.rejects(lock.withRegistryLock(call), { code: 'RE_ENTRANT' })
	}
})

test('under two locks, each write goes through its own', async (t) => {
	const at = home(t)
	const other = join(at.dir, 'other.json')
	await lock.withRegistryLock(() =>
		lock.withRegistryLock(async () => {
			await core.writeRegistry({ ...EMPTY, value: 1 })
			await core.writeRegistry({ ...EMPTY, value: 2 }, other)
		}, other),
	)
	assert.equal(at.json().value, 1)
	assert.equal(JSON.parse(readFileSync(other, 'utf8')).value, 2)
})

test('what outlives its lock writes under a lock of its own', async (t) => {
	const at = home(t)
	let open
	const gate = new Promise((resolve) => {
		open = resolve
	})
	let late
	await lock.withRegistryLock(async () => {
		late = gate.then(() => core.writeRegistry({ ...EMPTY, value: 'late' }))
	})
	open()
	await late
	assert.equal(at.json().value, 'late')
})

test('any file can be locked, and argus’s own write replaces it', async (t) => {
	const at = home(t)
	const tickets = join(at.dir, 'tickets.json')
	writeFileSync(tickets, '[1]')
	const add = (ticket) =>
		lock.withRegistryLock(async () => {
			const all = JSON.parse(readFileSync(tickets, 'utf8'))
			await delay(1)
			writeFileSync(tickets, JSON.stringify([...all, ticket]))
		}, tickets)
	await Promise.all([add(2), add(3), add(4)])
	assert.equal(readFileSync(tickets, 'utf8'), '[1,2,3,4]')
})

test('values: entries are added, removed and pruned without a file', () => {
	const empty = core.createEmptyRegistry(1)
	assert.deepEqual(empty, { version: core.REGISTRY_VERSION, updatedAt: 1, watchers: {} })
	const old = core.setWatcherEntry(empty, record('old', { updatedAt: 40_000 }), 2)
	const both = core.setWatcherEntry(old, record('new', { updatedAt: 40_001 }), 3)
	assert.deepEqual(
		core.listWatchers(both).map(({ id }) => id),
		['old', 'new'],
	)
	const pruned = core.pruneStaleWatchers(both, 100_001)
	assert.deepEqual(pruned.removedIds, ['old'])
	assert.deepEqual(Object.keys(pruned.registry.watchers), ['new'])
	assert.equal(pruned.registry.updatedAt, 100_001)
	assert.equal(Object.keys(both.watchers).length, 2)
	assert.equal(core.pruneStaleWatchers(both, 100_000).registry, both)
	assert.deepEqual(core.pruneStaleWatchers(both, 100_000, 1).removedIds, ['old', 'new'])
	assert.equal(core.DEFAULT_TTL_MS, 60_000)
	assert.equal(core.removeWatcherEntry(both, 'nobody'), both)
	const odd = { ...both, watchers: { ...both.watchers, odd: null } }
	assert.deepEqual(core.pruneStaleWatchers(odd, 100_001).removedIds, ['old'])
})

test('reading and pruning writes only if there is something to prune', async (t) => {
	const at = home(t)
	assert.deepEqual((await core.readAndPruneRegistry()).watchers, {})
	assert.deepEqual(readdirSync(at.dir), [])
	const registry = core.setWatcherEntry(core.createEmptyRegistry(), record('new'))
	at.put(print(core.setWatcherEntry(registry, record('old', { updatedAt: 1 }))))
	const { ino } = statSync(at.path)
	const rest = await core.readAndPruneRegistry({ registryPath: at.path, ttlMs: 1e15 })
	assert.deepEqual(Object.keys(rest.watchers), ['new', 'old'])
	assert.deepEqual(readdirSync(at.dir), ['registry.json'], 'not even a lock was taken')
	assert.equal(statSync(at.path).ino, ino)
	assert.deepEqual(Object.keys((await core.readAndPruneRegistry()).watchers), ['new'])
	assert.deepEqual(Object.keys(at.json().watchers), ['new'])
})

test('pruning nothing needs no write access', async (t) => {
	const at = home(t)
	at.put(print(core.setWatcherEntry(core.createEmptyRegistry(), record('app'))))
	chmodSync(at.path, 0o444)
	chmodSync(at.dir, 0o555)
	const reader = await argus(t, at)
	assert.deepEqual(await reader.do('onlyRead'), { code: 'PERMISSION_DENIED', ids: ['app'] })
})

test('a watcher that was found dead, and has started anew since, is not removed', async (t) => {
	const at = home(t)
	const found = record('app', { startedAt: 1 })
	const anew = record('app', { startedAt: 2 })
	await core.writeRegistry(core.setWatcherEntry(core.createEmptyRegistry(), anew))
	const left = await core.removeWatcherAndPersist('app', at.path, found)
	assert.deepEqual(left.watchers, { app: anew })
	assert.deepEqual((await core.removeWatcherAndPersist('app')).watchers, {})
	for (const id of ['a', 'b', 'c']) {
		await core.updateRegistry((registry) => core.setWatcherEntry(registry, record(id)))
	}
	assert.deepEqual(Object.keys((await core.removeWatchersAndPersist(['a', 'c'])).watchers), ['b'])
	assert.deepEqual(Object.keys((await core.removeWatchersAndPersist([])).watchers), ['b'])
})

test('processes that want the same id at the same time get one each', async (t) => {
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
	// Somebody has taken it for dead.
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

/** A heartbeat, and how to wait for its next beats. */
const beating = (own) => {
	let beats = 0
	const getWatcher = () => {
		beats += 1
		return own
	}
	const { stop } = watcher.startRegistryHeartbeat(getWatcher, 5)
	ends.push(stop)
	const nextBeats = (count) => {
		const enough = beats + count
		return until(() => beats >= enough)
	}
	return { stop, nextBeats }
}

test('a heartbeat renews the entry and dates the record, until it is stopped', async (t) => {
	const at = home(t)
	const own = await started('app', { updatedAt: 1 })
	const { stop, nextBeats } = beating(own)
	own.cwd = '/changed'
	await nextBeats(2)
	await until(() => at.json().watchers.app.cwd === '/changed')
	assert.ok(own.updatedAt > 1)
	await stop()
	const text = at.text()
	await delay(30)
	assert.equal(at.text(), text)
})

/** A heartbeat whose first beat waits for the lock, and what lets it go on. */
const waitingBeat = async (at, own) => {
	const release = await acquireSeedLock(at.path)
	ends.push(release)
	const { stop, nextBeats } = beating(own)
	await nextBeats(1)
	return { stop, nextBeats, release }
}

for (const isStopped of [true, false]) {
	const how = isStopped ? 'stopped' : 'still running'
	test(`a beat in flight does not bring a removed entry back (heartbeat ${how})`, async (t) => {
		const at = home(t)
		const said = listen(t)
		const own = await started('app')
		const { stop, nextBeats, release } = await waitingBeat(at, own)
		const over = [watcher.removeWatcher('app'), ...(isStopped ? [stop()] : [])]
		await release()
		await Promise.all(over)
		if (!isStopped) await nextBeats(4)
		await stop()
		assert.deepEqual(at.json().watchers, {})
		assert.deepEqual(said, [])
	})
}

test('an entry that was pruned while its watcher slept comes back', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	beating(own)
	for (let round = 0; round < 3; round += 1) {
		await core.removeWatcherAndPersist('app')
		await until(() => at.json().watchers.app)
	}
	assert.equal(at.json().watchers.app.port, own.port)
	assert.deepEqual(said, [])
})

test('an entry that is another watcher’s by now is left alone until it is free', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	const { nextBeats } = beating(own)
	const theirs = record('app', { pid: 1, startedAt: 1 })
	await core.updateRegistry((registry) => core.setWatcherEntry(registry, theirs))
	await nextBeats(6)
	assert.deepEqual(at.json().watchers.app, theirs)
	assert.match(said[0][0], /heartbeat of app failed/)
	assert.equal(said[0][1].code, 'ENTRY_LOST')
	await core.removeWatcherAndPersist('app')
	await until(() => at.json().watchers.app?.pid === process.pid)
})

test('a heartbeat that was stopped while its entry was pruned brings nothing back', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	const { stop, release } = await waitingBeat(at, own)
	at.put(print(EMPTY))
	const stopped = stop()
	await release()
	await stopped
	assert.deepEqual(at.json(), EMPTY)
	assert.deepEqual(said, [])
})

test('stopping waits for the beat in flight', async (t) => {
	const at = home(t)
	const own = await started('app')
	const { stop, release } = await waitingBeat(at, { ...own, cwd: '/changed' })
	const stopped = stop()
	await release()
	await stopped
	assert.equal(at.json().watchers.app.cwd, '/changed')
})

test('stopping waits for the entering in flight, which comes to nothing then', async (t) => {
	const at = home(t)
	const own = await started('app')
	at.put(print(EMPTY))
	let asked = 0
	const { stop } = watcher.startRegistryHeartbeat(() => {
		asked += 1
		// At the start, for the beat, and to enter the watcher again: that has to wait.
		if (asked === 3) closeSync(openSync(at.lockfile, 'wx'))
		return own
	}, 5)
	ends.push(stop)
	await until(() => asked >= 3)
	let isOver = false
	const stopped = stop().then(() => {
		isOver = true
	})
	await delay(20)
	assert.equal(isOver, false)
	unlinkSync(at.lockfile)
	await stopped
	assert.deepEqual(at.json(), EMPTY)
})

test('a heartbeat that fails says so and goes on; the process lives', async (t) => {
	const at = home(t)
	at.put('{"version":2}')
	const failing = await argus(t, at)
	assert.deepEqual(await failing.do('beat', { record: record('app'), times: 5 }), {
		first: '[ArgusWatcher] The heartbeat of app failed: UNSUPPORTED_VERSION',
		times: 5,
	})
	// It is there, and does what it is told.
	at.put(print(EMPTY))
	assert.deepEqual(await failing.do('resolve', { id: 'app', times: 1 }), ['app'])
})

test('an old watcher’s heartbeat overwrites the entry, and the new one does not fight it', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	const old = record('app', { pid: 1, startedAt: 1 })
	await updateWithSeedLock(at.path, (registry) => core.setWatcherEntry(registry, old))
	const { nextBeats } = beating(own)
	await nextBeats(4)
	assert.deepEqual(at.json().watchers.app, old)
	assert.ok(said.length > 0)
})
