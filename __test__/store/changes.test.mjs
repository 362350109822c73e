// Updating and watching a registry, whichever store keeps it. The list is that of tests/it/store/changes.rs.

import assert from 'node:assert/strict'
import {
	claimWatcher,
	heartbeatWatcher,
	removeWatcher,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	writeRegistry,
} from '../../index.js'
import { record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppets } from '../support/processes.mjs'
import { forEachStore } from '../support/stores.mjs'

const update = ({ path }, updater) => updateRegistry(path, updater, UP_TO_A_MINUTE)

/** Entries that no process has claimed. */
const watcher = (id, port) => record(id, { port, pid: 0 })

const set = (at, ports) =>
	update(at, (registry) => {
		for (const [id, port] of Object.entries(ports)) registry.watchers[id] = watcher(id, port)
		return registry
	})

const ports = (at) =>
	Object.fromEntries(Object.entries(at.watchers()).map(([id, { port }]) => [id, port]))

forEachStore('an update adds changes and removes entries', async (at) => {
	await set(at, { a: 1, b: 2, c: 3 })
	const change = (registry) => {
		registry.watchers.a.port += 8
		delete registry.watchers.b
		registry.watchers.d = watcher('d', 4)
		return registry
	}
	assert.deepEqual(Object.keys((await update(at, change)).watchers), ['a', 'c', 'd'])
	assert.deepEqual(ports(at), { a: 9, c: 3, d: 4 })
	await set(at, { e: 5 })
	await set(at, { a: 1 })
	assert.equal(await removeWatcher(at.path, 'c', UP_TO_A_MINUTE), true)
	assert.deepEqual(ports(at), { a: 1, d: 4, e: 5 })
	updateRegistrySync(at.path, change, UP_TO_A_MINUTE)
	assert.deepEqual(ports(at), { a: 9, d: 4, e: 5 })
})

forEachStore('an update that fails changes nothing', async (at) => {
	await set(at, { a: 1 })
	const failure = new Error('no')
	const fail = (registry) => {
		delete registry.watchers.a
		throw failure
	}
	await assert.rejects(update(at, fail), failure)
	assert.throws(() => updateRegistrySync(at.path, fail, UP_TO_A_MINUTE), failure)
	await assert.rejects(
		update(at, async (registry) => fail(registry)),
		failure,
	)
	assert.deepEqual(ports(at), { a: 1 })
})

forEachStore('an update may make an entry any JSON value', async (at) => {
	const watchers = { 7: [], null: null, '\ud800': { x: 1e300 }, 'a/b': '\udfff' }
	await update(at, (registry) => ({ ...registry, watchers }))
	const sorted = (entries) => Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1))
	assert.deepEqual(sorted(at.watchers()), sorted(watchers))
	// What is not changed keeps its value.
	await set(at, { own: 1 })
	const { own, ...rest } = at.watchers()
	assert.equal(own.port, 1)
	assert.deepEqual(sorted(rest), sorted(watchers))
})

const countUp = (registry) => {
	const port = (registry.watchers.counter?.port ?? 0) + 1
	registry.watchers.counter = watcher('counter', port)
	return registry
}

forEachStore('updates that are made together count exactly', async (at) => {
	await set(at, { other: 0 })
	const pause = () => new Promise((resolve) => setImmediate(resolve))
	const slowly = async (registry) => {
		await pause()
		return countUp(registry)
	}
	const updates = Array.from({ length: 50 }, (_, n) => update(at, n % 5 === 0 ? slowly : countUp))
	await Promise.all(updates)
	assert.deepEqual(ports(at), { counter: 50, other: 0 })
})

forEachStore('updates of many processes count exactly', async (at, t) => {
	const others = puppets(t, 4)
	for (const [n, other] of others.entries()) {
		const task = n % 2 === 0 ? 'countUp' : 'countUpSync'
		other.start(task, { path: at.path, times: 50, options: UP_TO_A_MINUTE })
	}
	for (const other of others) await other.expect('done')
	assert.deepEqual(ports(at), { counter: 200 })
})

forEachStore('an update inside an update is refused', async (at) => {
	await set(at, { a: 1 })
	const codes = []
	const inner = async (call) => codes.push((await call().catch((error) => error)).code)
	await update(at, async (registry) => {
		await inner(() => update(at, (same) => same))
		await inner(() => removeWatcher(at.path, 'a', UP_TO_A_MINUTE))
		await inner(() => claimWatcher(at.path, record('b'), UP_TO_A_MINUTE))
		await inner(async () => updateRegistrySync(at.path, (same) => same, UP_TO_A_MINUTE))
		return registry
	})
	assert.deepEqual(codes, Array(4).fill('RE_ENTRANT'))
	assert.deepEqual(ports(at), { a: 1 })
})

forEachStore('a whole registry is replaced', async (at) => {
	await set(at, { a: 1, b: 2 })
	const watchers = { c: watcher('c', 3) }
	await writeRegistry(at.path, { version: 1, updatedAt: 5, watchers }, UP_TO_A_MINUTE)
	assert.deepEqual(ports(at), { c: 3 })
})

forEachStore('a claim survives the updates of its process', async (at) => {
	const { claim } = await claimWatcher(at.path, record('own'), UP_TO_A_MINUTE)
	await set(at, { a: 1, b: 2 })
	await update(at, (registry) => {
		registry.watchers.own.port = 9
		delete registry.watchers.a
		return registry
	})
	assert.deepEqual(ports(at), { b: 2, own: 9 })
	assert.equal(await heartbeatWatcher(at.path, claim), true)
	await update(at, (registry) => {
		delete registry.watchers.own
		return registry
	})
	assert.equal(await heartbeatWatcher(at.path, claim), false)
})

forEachStore('what the updater must not return is refused', async (at) => {
	await set(at, { a: 1 })
	for (const value of [
		undefined,
		{ version: 1 },
		{ version: 1, updatedAt: 1, watchers: new Map() },
	]) {
		await assert.rejects(
			update(at, () => value),
			{ code: 'INVALID_VALUE' },
		)
	}
	assert.throws(() => updateRegistrySync(at.path, async (registry) => registry), {
		code: 'INVALID_VALUE',
	})
	assert.deepEqual(ports(at), { a: 1 })
})

forEachStore('a lock that is held is waited for within the timeout', async (at, t) => {
	const [holder] = puppets(t, 1)
	// In etcd an update has no lock, and its holder is not told.
	const isEtcd = at.store === 'etcd'
	// In which a server on a busy machine answers.
	const timeoutMs = isEtcd ? 1_000 : 20
	const hold = isEtcd ? 'holdLock' : 'holdEntries'
	holder.start(hold, { path: at.path, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	// In etcd an update that changes nothing has nothing to wait for.
	const change = (registry) => (isEtcd ? { ...registry, updatedAt: 1 } : registry)
	const isBusy = ({ code, path, holder: by }) => {
		assert.deepEqual(
			{ code, path, pid: by?.pid },
			{ code: 'LOCK_TIMEOUT', path: at.path, pid: isEtcd ? undefined : holder.pid },
		)
		return true
	}
	await assert.rejects(updateRegistry(at.path, change, { timeoutMs }), isBusy)
	assert.throws(() => updateRegistrySync(at.path, change, { timeoutMs }), isBusy)
	const aborter = new AbortController()
	const aborted = update({ path: at.path }, change)
	const waiting = updateRegistry(at.path, change, { signal: aborter.signal })
	aborter.abort()
	await assert.rejects(waiting, { code: 'ABORTED' })
	holder.settle()
	await aborted
	await holder.expect('done')
	assert.deepEqual(at.ids(), ['held'])
})

forEachStore('a watch delivers the present state and each later one', async (at, t) => {
	const watch = watchRegistry(at.path)
	t.after(() => watch.return())
	const until = async (isThere) => {
		// A burst may be delivered as several states.
		for (;;) {
			const { value } = await watch.next()
			if (isThere(value.watchers)) return
		}
	}
	const isEmpty = (watchers) => Object.keys(watchers).length === 0
	await until(isEmpty)
	const updatedAt = 1_700_000_000_000
	const { claim } = await claimWatcher(at.path, record('app', { updatedAt }), UP_TO_A_MINUTE)
	await until(({ app }) => app !== undefined)
	assert.equal(await heartbeatWatcher(at.path, claim), true)
	await until(({ app }) => app.updatedAt > updatedAt)
	assert.equal(await removeWatcher(at.path, 'app', UP_TO_A_MINUTE), true)
	await until(isEmpty)
})
