// docs/how-to/adopting-in-argus.md: its modules do with a registry what the guide says.

import assert from 'node:assert/strict'
import {
	chmodSync,
	existsSync,
	readdirSync,
	readFileSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import * as store from '../../index.js'
import { EMPTY, print } from '../support/folder.mjs'
import {
	argus,
	client,
	core,
	home,
	lock,
	program,
	prune,
	record,
	watcher,
} from '../support/guide-home.mjs'
import { puppet } from '../support/processes.mjs'
import { skipIf } from '../support/skip.mjs'

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

test('bad content is kept, with a warning; a newer schema is refused', async (t) => {
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
	await assert.rejects(core.readActiveRegistry(), refused)
	await assert.rejects(core.removeWatcherAndPersist('app'), refused)
	await assert.rejects(watcher.announceWatcher(record('app')), refused)
	assert.equal(await watcher.resolveUniqueWatcherId('app'), 'app')
	const underLock = lock.withRegistryLock(() => core.writeRegistry(core.createEmptyRegistry()))
	await assert.rejects(underLock, refused)
	assert.equal(at.text(), newer)
})

test('new and old processes update side by side and lose nothing', async (t) => {
	const at = home(t)
	at.put(print({ ...EMPTY, count: 0 }))
	const mine = await Promise.all(Array.from({ length: 4 }, () => argus(t, at)))
	const old = [puppet(t), puppet(t)]
	// Old processes give up after 2 s, which says nothing about lost updates.
	const options = { timeoutMs: 60_000 }
	for (const each of old)
		each.start('incrementWithOlderArgusLock', { path: at.path, times: 10, options })
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

test('under the lock: a call that would wait for itself is refused at once', {
	skip: skipIf(process.platform === 'win32', 'needs the right to make symbolic links'),
}, async (t) => {
	const at = home(t)
	const alias = join(at.dir, 'alias.json')
	symlinkSync(at.path, alias)
	const again = [
		() => core.writeRegistry(EMPTY, alias),
		() => core.updateRegistry((registry) => registry),
		() => core.removeWatcherAndPersist('there'),
		() => watcher.announceWatcher(record('app')),
		() => lock.withRegistryLock(async () => {}),
	]
	await core.writeRegistry(core.setWatcherEntry(core.createEmptyRegistry(), record('there')))
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

test('code that outlives its lock writes under a lock of its own', async (t) => {
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
	assert.equal(core.removeWatcherEntry(both, 'none'), both)
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

for (const what of ['nothing', 'something']) {
	test(`reading and pruning without write access, with ${what} to prune`, async (t) => {
		const at = home(t)
		const live = core.setWatcherEntry(core.createEmptyRegistry(), record('app'))
		const old = record('old', { updatedAt: 1 })
		at.put(print(what === 'nothing' ? live : core.setWatcherEntry(live, old)))
		const text = at.text()
		chmodSync(at.path, 0o444)
		chmodSync(at.dir, 0o555)
		const reader = await argus(t, at)
		const expected = { code: 'PERMISSION_DENIED', ids: ['app'] }
		assert.deepEqual(await reader.do('onlyRead'), expected)
		assert.equal(at.text(), text)
	})
}

test('removing what is not there, and reading the live entries, need no write access', async (t) => {
	const at = home(t)
	at.put(print(core.setWatcherEntry(core.createEmptyRegistry(), record('app', { startedAt: 2 }))))
	assert.deepEqual(Object.keys((await core.readActiveRegistry()).watchers), ['app'])
	assert.deepEqual((await core.readActiveRegistry({ ttlMs: -1 })).watchers, {})
	await core.removeWatcherAndPersist('none')
	await core.removeWatcherAndPersist('app', at.path, record('app', { startedAt: 1 }))
	await core.removeWatchersAndPersist(['none', 'app'], at.path, {})
	assert.deepEqual(readdirSync(at.dir), ['registry.json'], 'not even a lock was taken')
})

test('a watcher that was found dead, and has started anew since, is not removed', async (t) => {
	const at = home(t)
	const found = record('app', { startedAt: 1 })
	for (const anew of [
		record('app', { startedAt: 2 }),
		record('app', { startedAt: 1, pid: found.pid + 1 }),
		record('app', { startedAt: 1, port: 1 }),
		record('app', { startedAt: 1, ownerId: 'another run' }),
	]) {
		await core.writeRegistry(core.setWatcherEntry(core.createEmptyRegistry(), anew))
		const left = await core.removeWatcherAndPersist('app', at.path, found)
		assert.deepEqual(left.watchers, { app: anew })
		assert.deepEqual(at.json().watchers, { app: anew })
	}
	// A heartbeat makes no other watcher of it.
	const alive = record('app', { startedAt: 1, ownerId: 'another run', updatedAt: 7 })
	assert.deepEqual((await core.removeWatcherAndPersist('app', at.path, alive)).watchers, {})
	assert.deepEqual(at.json().watchers, {})
})

test('several are removed with one write: by id, or those that are still what was found', async (t) => {
	const at = home(t)
	for (const id of ['a', 'b', 'c', 'd']) {
		await core.updateRegistry((registry) => core.setWatcherEntry(registry, record(id)))
	}
	assert.deepEqual(Object.keys((await core.removeWatchersAndPersist(['a'])).watchers), [
		'b',
		'c',
		'd',
	])
	const { watchers: found } = at.json()
	await core.updateRegistry((registry) =>
		core.setWatcherEntry(registry, record('c', { startedAt: 1 })),
	)
	const left = await core.removeWatchersAndPersist(['b', 'c'], at.path, found)
	assert.deepEqual(Object.keys(left.watchers), ['c', 'd'])
	assert.deepEqual(Object.keys((await core.removeWatchersAndPersist([])).watchers), ['c', 'd'])
	assert.deepEqual(at.ids(), ['c', 'd'])
})

test('reservations that newer versions keep are left alone until they are too old', async (t) => {
	const at = home(t)
	const reservations = { a: { reservedAt: Date.now() }, b: { reservedAt: 1 } }
	at.put(print({ ...EMPTY, reservations }))
	await core.readAndPruneRegistry()
	assert.deepEqual(at.json().reservations, { a: reservations.a })
	await core.updateRegistry((registry) => core.setWatcherEntry(registry, record('app')))
	assert.deepEqual(at.json().reservations, { a: reservations.a })
	await core.readAndPruneRegistry({ ttlMs: -1 })
	assert.equal('reservations' in at.json(), false)
})

test('the program and the client read and remove by argus-core', async (t) => {
	const at = home(t)
	const gone = record('gone', { port: 1 })
	await core.writeRegistry(core.setWatcherEntry(core.createEmptyRegistry(), gone))
	assert.equal(program.removeWatcherAndPersist, core.removeWatcherAndPersist)
	// Started anew while the client waited for the old one: its entry stays.
	const anew = record('gone', { port: 1, startedAt: gone.startedAt + 1 })
	await core.writeRegistry(core.setWatcherEntry(core.createEmptyRegistry(), anew))
	await assert.rejects(client.requestStatus({}, gone), /failed to reach watcher/)
	assert.deepEqual(at.json().watchers, { gone: anew })
	const restart = async () => {
		await core.updateRegistry((registry) => core.setWatcherEntry(registry, gone))
		return false
	}
	assert.deepEqual(await prune.runWatcherPrune(restart), ['gone'])
	assert.deepEqual(at.json().watchers, { gone })
	assert.deepEqual(await client.list({}), [])
	assert.deepEqual(at.json().watchers, {})
})
