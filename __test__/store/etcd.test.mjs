// What is different in etcd: updates without a lock, the lock with its fence, limits and options.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
	announceWatcher,
	claimWatcher,
	inspectLock,
	readRegistry,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { configureEtcd, newEtcdPath, sharedServer, skipWithoutEtcd } from '../support/etcd.mjs'
import { record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppets, script } from '../support/processes.mjs'
import { packageFile } from '../support/script.mjs'

const inEtcd = (name, body) =>
	test(name, { skip: skipWithoutEtcd }, async (t) => body(await newEtcdPath(), t))

const update = (path, updater) => updateRegistry(path, updater, UP_TO_A_MINUTE)

const set = (path, id, port) =>
	update(path, (registry) => {
		registry.watchers[id] = record(id, { port, pid: 0 })
		return registry
	})

const portsIn = async (path) =>
	Object.fromEntries(
		Object.entries((await readRegistry(path)).registry.watchers).map(([id, { port }]) => [
			id,
			port,
		]),
	)

/** The number of writes that a key of a registry has seen. */
const versionOf = async (path, id) => {
	const [, prefix] = /^etcd:\/\/[^/]+(.*)$/.exec(path)
	const server = await sharedServer()
	const text = server.ctl('get', `${prefix}/watchers/${id}`, '--write-out=json')
	return JSON.parse(text).kvs[0].version
}

inEtcd('an updater runs again if what it was given has changed meanwhile', async (path) => {
	await set(path, 'a', 1)
	const given = []
	const updated = await update(path, async (registry) => {
		given.push(registry.watchers.a.port)
		// By another process, for all that this update knows: an entry operation takes no lock.
		if (given.length === 1) {
			assert.equal(await inWorker(path, { ...record('a', { pid: 0 }), port: 5 }), 'done')
		}
		registry.watchers.a.port += 1
		return registry
	})
	assert.deepEqual(given, [1, 5])
	assert.equal(updated.watchers.a.port, 6)
	assert.deepEqual(await portsIn(path), { a: 6 })
})

inEtcd('a lock that is held tells its holder', async (path) => {
	const free = { path, state: 'free', guarantee: 'lease' }
	assert.deepEqual(await inspectLock(path), free)
	await withRegistryLock(
		path,
		async () => {
			const holder = { pid: process.pid, host: hostname(), alive: true }
			assert.deepEqual(await inspectLock(path), { ...free, state: 'held', holder })
		},
		UP_TO_A_MINUTE,
	)
	assert.deepEqual(await inspectLock(path), free)
})

/** Announces a watcher from another thread, which has a queue of its own; returns the code of its error. */
const inWorker = async (path, watcher, options = UP_TO_A_MINUTE) => {
	const text = `
		const { announceWatcher } = require(${JSON.stringify(packageFile)})
		const { parentPort, workerData: [path, watcher, options] } = require('node:worker_threads')
		announceWatcher(path, watcher, options).then(
			() => parentPort.postMessage('done'),
			(error) => parentPort.postMessage(error.code),
		)`
	const worker = new Worker(text, { eval: true, workerData: [path, watcher, options] })
	const [said] = await once(worker, 'message')
	await worker.terminate()
	return said
}

inEtcd(
	'an update of one try that another process came before fails and writes nothing',
	async (path) => {
		await set(path, 'a', 1)
		const updating = updateRegistry(
			path,
			async (registry) => {
				assert.equal(await inWorker(path, { ...record('a', { pid: 0 }), port: 5 }), 'done')
				registry.watchers.a.port += 1
				return registry
			},
			{ timeoutMs: 0 },
		)
		await assert.rejects(updating, { name: 'RegistryError', code: 'LOCK_BUSY', path })
		assert.deepEqual(await portsIn(path), { a: 5 })
	},
)

// It failed at once, as if it had waited: for its time left no room for the pause of the update before.
inEtcd('an update of little time is tried after one that was refused', async (path) => {
	await set(path, 'a', 1)
	const refused = updateRegistry(
		path,
		async (registry) => {
			assert.equal(await inWorker(path, { ...record('a', { pid: 0 }), port: 5 }), 'done')
			registry.watchers.a.port += 1
			return registry
		},
		{ timeoutMs: 300 },
	)
	await assert.rejects(refused, { code: 'LOCK_TIMEOUT', path })
	for (let tries = 0; ; tries++) {
		try {
			await updateRegistry(path, (registry) => ({ ...registry, count: 1 }), { timeoutMs: 90 })
			break
		} catch (error) {
			// A server on a busy machine may need longer for its answer.
			assert.equal(error.code, 'UNAVAILABLE')
			assert.ok(tries < 50, 'no answer within 90 ms')
		}
	}
	assert.equal((await readRegistry(path)).registry.count, 1)
})

inEtcd('an update writes the entries that it has changed and no others', async (path) => {
	await announceWatcher(path, record('a', { pid: 0, more: { list: [1, 2] } }), UP_TO_A_MINUTE)
	await set(path, 'b', 1)
	const before = await versionOf(path, 'a')
	await set(path, 'b', 2)
	assert.equal(await versionOf(path, 'a'), before)
	assert.equal(await versionOf(path, 'b'), 2)
	const same = await update(path, (registry) => structuredClone(registry))
	assert.equal(await versionOf(path, 'b'), 2, 'equal values are no change')
	assert.deepEqual(Object.keys(same.watchers), ['a', 'b'])
})

inEtcd('updates before a slow one of their thread are committed before it', async (path) => {
	const earlier = [set(path, 'a', 1), set(path, 'b', 2)]
	let runs = 0
	const slow = update(path, async (registry) => {
		runs += 1
		await Promise.all(earlier)
		assert.deepEqual(await portsIn(path), { a: 1, b: 2 })
		registry.watchers.c = record('c', { port: registry.watchers.a.port + 8, pid: 0 })
		delete registry.watchers.b
		return registry
	})
	await slow
	// Its transaction goes on from theirs, so it is not refused.
	assert.equal(runs, 1)
	assert.deepEqual(await portsIn(path), { a: 1, c: 9 })
})

inEtcd('more entries than one transaction can change are refused as a whole', async (path) => {
	await set(path, 'a', 1)
	const many = Object.fromEntries(Array.from({ length: 123 }, (_, n) => [`w${n}`, { n }]))
	const add = (registry) => ({ ...registry, watchers: { ...registry.watchers, ...many } })
	const refused = { name: 'RegistryError', code: 'STORE_LIMIT', path, message: /122/ }
	await assert.rejects(update(path, add), refused)
	assert.throws(() => updateRegistrySync(path, add, UP_TO_A_MINUTE), refused)
	assert.deepEqual(await portsIn(path), { a: 1 })
})

inEtcd('the lock has one holder at a time and its writes are seen at once', async (path, t) => {
	await set(path, 'a', 1)
	const [other] = puppets(t, 1)
	const order = []
	await withRegistryLock(
		path,
		async (lock) => {
			assert.equal(lock.path, path)
			other.start('countUp', { path, times: 1, options: UP_TO_A_MINUTE })
			const registry = (await readRegistry(path)).registry
			for (const port of [2, 3]) {
				registry.watchers.a.port = port
				await lock.write(registry)
				assert.deepEqual(await portsIn(path), { a: port })
			}
			// An update inside is refused, as in a file.
			await assert.rejects(set(path, 'b', 1), { code: 'RE_ENTRANT' })
			const busy = await inWorker(path, record('c', { pid: 0 }), { timeoutMs: 500 })
			assert.equal(busy, 'LOCK_TIMEOUT')
			order.push('released')
			return 'value'
		},
		UP_TO_A_MINUTE,
	).then((value) => assert.equal(value, 'value'))
	await other.expect('done')
	assert.deepEqual(await portsIn(path), { a: 3, counter: 1 })
	const [first, second] = [1, 2].map((n) =>
		withRegistryLock(
			path,
			async () => {
				order.push(n)
				await new Promise((resolve) => setImmediate(resolve))
				order.push(n)
			},
			UP_TO_A_MINUTE,
		),
	)
	await Promise.all([first, second])
	assert.deepEqual(order, ['released', 1, 1, 2, 2])
})

inEtcd('a holder that has lost the lock writes nothing', async (path) => {
	await set(path, 'a', 1)
	const [, prefix] = /^etcd:\/\/[^/]+(.*)$/.exec(path)
	const server = await sharedServer()
	const lost = { name: 'RegistryError', code: 'LOCK_LOST', path }
	const run = withRegistryLock(
		path,
		async (lock) => {
			// As when its lease is over.
			assert.equal(server.ctl('del', '--prefix', `${prefix}/lock/`).trim(), '1')
			const { registry } = await readRegistry(path)
			registry.watchers.a.port = 2
			await assert.rejects(lock.write(registry), lost)
		},
		UP_TO_A_MINUTE,
	)
	await assert.rejects(run, lost)
	assert.deepEqual(await portsIn(path), { a: 1 })
	await set(path, 'a', 3)
})

inEtcd('a lock is released when its function fails and when its thread ends', async (path) => {
	const failure = new Error('no')
	const fail = () => {
		throw failure
	}
	await assert.rejects(withRegistryLock(path, fail, UP_TO_A_MINUTE), failure)
	await set(path, 'a', 1)
	const text = `
		const { withRegistryLock } = require(${JSON.stringify(packageFile)})
		const { parentPort, workerData: path } = require('node:worker_threads')
		withRegistryLock(path, () => {
			parentPort.postMessage('holding')
			return new Promise(() => setInterval(() => {}, 1000))
		})`
	const worker = new Worker(text, { eval: true, workerData: path })
	await once(worker, 'message')
	const change = (registry) => ({ ...registry, note: 1 })
	await assert.rejects(updateRegistry(path, change, { timeoutMs: 500 }), { code: 'LOCK_TIMEOUT' })
	await worker.terminate()
	// Its lease would last for 10 s.
	await updateRegistry(path, change, { timeoutMs: 8_000 })
})

inEtcd('waiting for the lock ends when it is aborted', async (path, t) => {
	const [holder] = puppets(t, 1)
	holder.start('holdLock', { path, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	const calls = [
		(options) => updateRegistry(path, (registry) => ({ ...registry, note: 1 }), options),
		(options) => claimWatcher(path, record('app'), options),
		(options) => withRegistryLock(path, () => {}, options),
	]
	for (const call of calls) {
		const aborter = new AbortController()
		const waiting = call({ ...UP_TO_A_MINUTE, signal: aborter.signal })
		const started = Date.now()
		setTimeout(() => aborter.abort('enough'), 200)
		await assert.rejects(waiting, { code: 'ABORTED', path, cause: 'enough' })
		assert.ok(Date.now() - started < 10_000)
	}
	holder.settle()
	await holder.expect('done')
	assert.deepEqual(Object.keys((await readRegistry(path)).registry.watchers), ['held'])
})

inEtcd('a watch ends when it is returned and when it is aborted', async (path) => {
	const watch = watchRegistry(path)
	assert.deepEqual((await watch.next()).value.watchers, {})
	const waiting = watch.next()
	await watch.return()
	assert.deepEqual(await waiting, { done: true, value: undefined })
	const aborter = new AbortController()
	const aborted = watchRegistry(path, { signal: aborter.signal })
	await aborted.next()
	const next = aborted.next()
	aborter.abort('enough')
	await assert.rejects(next, { code: 'ABORTED', path, cause: 'enough' })
})

inEtcd('a program that has used a registry ends by itself', async (path, t) => {
	const text = `
		const path = ${JSON.stringify(path)}
		await updateRegistry(path, (registry) => ({ ...registry, note: 1 }), { timeoutMs: 60_000 })
		updateRegistrySync(path, (registry) => ({ ...registry, note: 2 }), { timeoutMs: 60_000 })
		const watch = watchRegistry(path)
		console.log((await watch.next()).value.note)
		await watch.return()`
	const program = script(t, text, {
		prelude: `import { updateRegistry, updateRegistrySync, watchRegistry } from ${JSON.stringify(packageFile)}`,
	})
	assert.equal(await program.line(), '2')
	assert.equal(await program.exited, 0)
})

inEtcd('a damaged entry is a warning and is kept', async (path) => {
	const [, prefix] = /^etcd:\/\/[^/]+(.*)$/.exec(path)
	await set(path, 'a', 1)
	const server = await sharedServer()
	server.ctl('put', `${prefix}/watchers/bad`, '{')
	const { registry, warnings } = await readRegistry(path)
	assert.deepEqual(Object.keys(registry.watchers), ['a'])
	assert.deepEqual(
		warnings.map(({ code }) => code),
		['DAMAGED_ENTRY'],
	)
	await writeRegistry(path, { version: 1, updatedAt: 5, watchers: {} }, UP_TO_A_MINUTE)
	assert.match(server.ctl('get', `${prefix}/watchers/bad`), /\{/)
	server.ctl('put', `${prefix}/version`, '2')
	const newer = await readRegistry(path)
	assert.deepEqual(
		newer.warnings.map(({ code }) => code),
		['DAMAGED_ENTRY', 'UNSUPPORTED_VERSION'],
	)
	await assert.rejects(set(path, 'a', 2), { code: 'UNSUPPORTED_VERSION', path })
})

inEtcd('one path in two spellings is one registry', async (path) => {
	await set(`${path}/`, 'a', 1)
	await set(path, 'b', 2)
	assert.deepEqual(await portsIn(`${path}/`), { a: 1, b: 2 })
	const given = (await readRegistry(`${path}/`)).warnings
	assert.deepEqual(given, [])
})

test('a path of etcd that names no registry is refused', { skip: skipWithoutEtcd }, async () => {
	for (const [path, reason] of [
		['etcd://127.0.0.1:1', /no prefix/],
		['etcd://127.0.0.1/p', /a host and a port/],
		['etcd://127.0.0.1:1/p?user=a', /options are not taken/],
	]) {
		await assert.rejects(readRegistry(path), { code: 'INVALID_VALUE', path, message: reason })
		await assert.rejects(set(path, 'a', 1), { code: 'INVALID_VALUE', path, message: reason })
		assert.throws(() => watchRegistry(path), { code: 'INVALID_VALUE', path })
	}
	const secret = await readRegistry('etcd://me:secret@127.0.0.1:1/p').catch((error) => error)
	assert.equal(secret.code, 'INVALID_VALUE')
	assert.doesNotMatch(`${secret.message} ${secret.path}`, /secret/)
})

inEtcd('options that can not be used are refused and show no secret', async (path) => {
	const refused = (options, message) =>
		assert.rejects(
			configureEtcd(`${path}/refused`, options),
			(error) => error.code === 'INVALID_VALUE' && message.test(error.message),
			JSON.stringify(options),
		)
	await refused(undefined, /no object/)
	await refused({ lease: 1 }, /no lease in options/)
	await refused({ leaseMs: '5' }, /leaseMs in options is no number/)
	await refused({ leaseMs: 1_999 }, /from 2000/)
	await refused({ readWithinMs: 0 }, /readWithinMs/)
	await refused({ answerWithinMs: Number.NaN }, /answerWithinMs/)
	await refused({ user: 'me' }, /a password/)
	await refused({ user: 'me', password: 'a', passwordFile: 'b' }, /a password/)
	await refused({ tls: {} }, /no ca/)
	await refused({ tls: { ca: '-----BEGIN', key: 'k' } }, /name both/)
	await refused({ tls: { ca: 1 } }, /ca in options.tls is no string/)
	const secret = await configureEtcd(`${path}/s`, { password: 'secret' }).catch((error) => error)
	assert.doesNotMatch(secret.message, /secret/)
	await assert.rejects(configureEtcd(`${path}/n`, { user: 'a', passwordFile: '/none/of/it' }), {
		code: 'NOT_FOUND',
	})
	// Once used, only by the options that it has.
	await assert.rejects(configureEtcd(path, { leaseMs: 5_000 }), {
		code: 'INVALID_VALUE',
		path,
		message: /in use already/,
	})
	await configureEtcd(path, { readWithinMs: 60_000, answerWithinMs: 10_000, user: undefined })
})
