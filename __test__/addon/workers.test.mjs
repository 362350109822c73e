// Calls from worker threads work as they do on the main thread.

import assert from 'node:assert/strict'
import { on } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import { inspectLock, updateRegistry } from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { addonPath } from '../support/install.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet } from '../support/processes.mjs'
import { packageFile } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

/** A thread that runs this text; `next` returns its messages. */
const start = (t, text, path, first = '') => {
	const source = `${first}
		const { parentPort, workerData: path } = require('node:worker_threads')
		const registry = require(${JSON.stringify(packageFile)})
		const say = (value) => parentPort.postMessage(value)
		const code = (promise) => promise.then(() => 'resolved', (error) => error.code);
		${text}`
	const thread = new Worker(source, { eval: true, workerData: path })
	// Once: a second call never settles in older Buns.
	let end
	const terminate = () => {
		end ??= thread.terminate()
		return end
	}
	cleanUp(t, terminate)
	const messages = on(thread, 'message')
	return { thread, terminate, next: async () => (await messages.next()).value[0] }
}

const worker = (...args) => start(...args).next

test('a worker updates, reads, inspects and writes', async (t) => {
	const at = folder(t)
	const next = worker(
		t,
		`(async () => {
			for (let i = 0; i < 20; i += 1)
				await registry.updateRegistry(path, (r) => ({ ...r, count: (r.count ?? 0) + 1 }))
			await registry.withRegistryLock(path, async (lock) => {
				const { registry: found } = await registry.readRegistry(path)
				await lock.write({ ...found, count: found.count + 1 })
				await lock.write({ ...found, count: found.count + 2 })
				say([found.count, (await registry.inspectLock(path)).state])
			})
			say((await registry.inspectLock(path)).state)
		})()`,
		at.path,
	)
	assert.deepEqual(await next(), [20, 'held'])
	assert.equal(await next(), 'free')
	assert.equal(at.json().count, 22)
	assert.deepEqual(at.others(), [])
})

test('a worker that polls for the end of its work gets the results that promises give', {
	skip: skipIf(process.versions.bun || process.versions.deno, 'older Buns do it as it is'),
}, async (t) => {
	const at = folder(t)
	const next = worker(
		t,
		`const native = require(${JSON.stringify(addonPath)})
		let taken = 0
		const { take } = native.PolledWork.prototype
		native.PolledWork.prototype.take = function () {
			taken += 1
			return take.call(this)
		};
		(async () => {
			const watcher = { id: 'app', host: '', port: 1, pid: 1, startedAt: 1, updatedAt: 1 }
			const claims = await Promise.all([1, 2, 3].map(() => registry.claimWatcher(path, watcher)))
			await registry.updateRegistry(path, (r) => ({ ...r, worker: true }))
			const all = await registry.withRegistryLock(path, async () => {
				const { state } = await registry.inspectLock(path)
				return [state, await code(registry.readRegistry(path)), await code(registry.removeWatcher(path, 'app'))]
			})
			say({ ids: claims.map(({ claim }) => claim.id), all, isAsked: taken > 0 })
		})()`,
		at.path,
		`Object.defineProperty(process.versions, 'bun', { value: '1.3.0' })`,
	)
	assert.deepEqual(await next(), {
		ids: ['app', 'app-2', 'app-3'],
		all: ['held', 'resolved', 'RE_ENTRANT'],
		isAsked: true,
	})
	assert.equal(at.json().worker, true)
})

test('a worker waits for another process: busy, timed out, aborted, and at last done', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	const next = worker(
		t,
		`(async () => {
			const same = (r) => r
			const aborter = new AbortController()
			const aborted = code(registry.updateRegistry(path, same, { timeoutMs: 60_000, signal: aborter.signal }))
			setTimeout(() => aborter.abort(), 20)
			say([
				await aborted,
				await code(registry.updateRegistry(path, same, { timeoutMs: 0 })),
				await code(registry.updateRegistry(path, same, { timeoutMs: 50 })),
			])
			const last = registry.updateRegistry(path, (r) => ({ ...r, last: r.value }), { timeoutMs: 60_000 })
			say(await code(last))
		})()`,
		at.path,
	)
	assert.deepEqual(await next(), ['ABORTED', 'LOCK_BUSY', 'LOCK_TIMEOUT'])
	const last = next()
	holder.settle()
	await holder.expect('done')
	assert.equal(await last, 'resolved')
	assert.deepEqual([at.json().value, at.json().last], [1, 1])
})

test('an operation that waits when its worker is terminated is not done afterwards', {
	skip: skipIf(process.versions.deno, 'a worker may count as terminated before it is'),
}, async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	const { next, terminate } = start(
		t,
		`const watcher = { id: 'ghost', host: '', port: 1, pid: 1, startedAt: 1, updatedAt: 1 }
		registry.announceWatcher(path, watcher, { timeoutMs: 60_000 })
		say('waits')`,
		at.path,
	)
	assert.equal(await next(), 'waits')
	await terminate()
	holder.settle()
	await holder.expect('done')
	// Behind the calls that wait in this process.
	await updateRegistry(at.path, (registry) => ({ ...registry, last: true }), UP_TO_A_MINUTE)
	assert.deepEqual(at.json().watchers, {})
})

test('registryPath follows the environment of its worker', async (t) => {
	// What a worker assigns to its environment stays in the worker: the environment of the process
	// does not change.
	const next = worker(
		t,
		`process.env.ARGUS_REGISTRY_PATH = path
		say(registry.registryPath())`,
		'/of/this/worker.json',
	)
	assert.equal(await next(), '/of/this/worker.json')
})

test('several workers on one file: 200 are terminated in the middle, and nothing is lost', {
	timeout: 240_000,
}, async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	// One worker stays and counts its own updates, beside those that are terminated.
	const stays = start(
		t,
		`(async () => {
			let isOver = false
			parentPort.once('message', () => (isOver = true))
			let count = 0
			while (!isOver) {
				await registry.updateRegistry(path, (r) => ({ ...r, count: (r.count ?? 0) + 1 }), ${JSON.stringify(UP_TO_A_MINUTE)})
				count += 1
				await new Promise(setImmediate)
			}
			say(count)
		})()`,
		at.path,
	)
	const goes = (index) => {
		const update = [
			'registry.updateRegistry(path, (r) => ({ ...r, other: (r.other ?? 0) + 1 }), UP_TO_A_MINUTE)',
			'registry.updateRegistry(path, async (r) => ({ ...r, other: (r.other ?? 0) + 1 }), UP_TO_A_MINUTE)',
			'registry.announceWatcher(path, watcher, UP_TO_A_MINUTE)',
			'registry.claimWatcher(path, watcher, UP_TO_A_MINUTE).then(({ claim }) => registry.removeWatcher(path, claim, UP_TO_A_MINUTE))',
		][index % 4]
		return `const UP_TO_A_MINUTE = ${JSON.stringify(UP_TO_A_MINUTE)}
			const watcher = { id: 'app', host: '', port: 1, pid: process.pid, startedAt: ${index}, updatedAt: 1 };
			(async () => {
				for (let n = 0; ; n += 1) {
					if (n === 1) say('updated')
					await ${update}
				}
			})()`
	}
	for (let round = 0; round < 50; round += 1) {
		const those = [0, 1, 2, 3].map((kind) => start(t, goes(kind), at.path))
		await Promise.all(those.map(({ next }) => next()))
		await Promise.all(those.map(({ terminate }) => terminate()))
	}
	stays.thread.postMessage('over')
	const count = await stays.next()
	assert.equal(at.json().count, count)
	await updateRegistry(at.path, (registry) => registry, { timeoutMs: 5_000 })
	assert.equal((await inspectLock(at.path)).state, 'free')
	while (at.others().length > 0) await new Promise(setImmediate)
})
