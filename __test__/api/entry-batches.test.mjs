// Entry operations of one process that wait together: batches, order, timeouts and aborts.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	readRegistry,
	removeWatcher,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
} from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { held } from '../support/entries.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { addonPath } from '../support/install.mjs'
import { queues } from '../support/locks.mjs'
import { UP_TO_TWO_MINUTES } from '../support/options.mjs'
import { packageFile } from '../support/script.mjs'
import { loadWithTimers } from '../support/timers.mjs'

/**
 * An operation that waits for the lock in front of others; the function that is returned ends its
 * wait.
 */
const waitInFront = (at) => {
	const controller = new AbortController()
	const options = { ...UP_TO_TWO_MINUTES, signal: controller.signal }
	const waiting = announceWatcher(at.path, record('in front'), options)
	return async () => {
		const [first] = queues().get(at.path)
		controller.abort()
		await assert.rejects(waiting, { code: 'ABORTED' })
		while (queues().get(at.path)?.[0] === first)
			await new Promise((resolve) => setImmediate(resolve))
		// The operations that go on have done so by now.
		await new Promise((resolve) => setImmediate(resolve))
	}
}

test('1,000 concurrent operations take the lock a few times, and all are there, in order', async (t) => {
	const at = folder(t)
	const holds = new Set()
	const hold = () => holds.add(JSON.parse(readFileSync(at.guard, 'utf8')).nonce)
	const claims = Array.from({ length: 1_000 }, async (_, index) => {
		const { claim } = await claimWatcher(at.path, record('app', { port: index }), UP_TO_TWO_MINUTES)
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

/**
 * Notes each call that the addon gets: how many operations, how long they have waited, how durable.
 */
const callsOf = (t) => {
	const native = createRequire(import.meta.url)(addonPath)
	const { applyEntries } = native
	const calls = []
	native.applyEntries = (...args) => {
		const [{ elapsedMs }, operations, durable] = args
		calls.push({ count: operations.length, elapsedMs, durable })
		return applyEntries(...args)
	}
	cleanUp(t, () => {
		native.applyEntries = applyEntries
	})
	return calls
}

test('at most 500 operations are done under one lock, and durably if one of them is durable', async (t) => {
	const at = folder(t)
	const calls = callsOf(t)
	const announced = Array.from({ length: 600 }, (_, index) =>
		announceWatcher(at.path, record(`app-${index}`), {
			...UP_TO_TWO_MINUTES,
			durable: index === 550,
		}),
	)
	await Promise.all(announced)
	assert.deepEqual(
		calls.map(({ count, durable }) => [count, durable]),
		[
			[1, false],
			[500, false],
			[99, true],
		],
	)
})

test('the time that an operation spent in the queue counts for its timeout', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const calls = callsOf(t)
	let timers = []
	const { announceWatcher } = loadWithTimers((setTimeout, run, ms, ...args) => {
		timers.push(ms)
		return setTimeout(run, ms, ...args)
	})
	const next = waitInFront(at)
	const announced = ['app', 'with it'].map((id) =>
		announceWatcher(at.path, record(id), UP_TO_TWO_MINUTES),
	)
	const startedAt = performance.now()
	while (performance.now() < startedAt + 20) await new Promise((resolve) => setImmediate(resolve))
	timers = []
	await next()
	holder.settle()
	await Promise.all(announced)
	const { count, elapsedMs } = calls[1]
	assert.equal(count, 2)
	assert.ok(elapsedMs >= 20, `${elapsedMs} ms`)
	// Of an operation that is not the first of its batch.
	assert.equal(timers.length, 1)
	assert.ok(timers[0] <= UP_TO_TWO_MINUTES.timeoutMs - 20, `${timers[0]} ms`)
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
			UP_TO_TWO_MINUTES,
		)
	await Promise.all([
		announceWatcher(at.path, record('a'), UP_TO_TWO_MINUTES),
		announceWatcher(at.path, record('b'), UP_TO_TWO_MINUTES),
		look(),
		removeWatcher(at.path, 'a', UP_TO_TWO_MINUTES),
		announceWatcher(at.path, record('c', { updatedAt: 0 }), UP_TO_TWO_MINUTES),
		look(),
		pruneStaleWatchers(at.path, UP_TO_TWO_MINUTES),
		look(),
		withRegistryLock(at.path, async () => seen.push('held'), UP_TO_TWO_MINUTES),
		removeWatcher(at.path, 'b', UP_TO_TWO_MINUTES),
	])
	assert.deepEqual(seen, ['a,b', 'b,c', 'b', 'held'])
	assert.deepEqual(at.ids(), [])
})

test('no JavaScript runs while an operation holds the lock: a blocked event loop delays no other process', async (t) => {
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
	cleanUp(t, () => worker.terminate())
	await once(worker, 'message')
	const announced = announceWatcher(at.path, record('app'), UP_TO_TWO_MINUTES)
	// Until here only this thread could have gone on; from here it can't.
	assert.notEqual(Atomics.wait(new Int32Array(flag), 0, 0, 60_000), 'timed-out')
	await announced
	assert.equal(at.json().seen, true)
})

test('a synchronous update may come while an operation is under way, not inside of an updater', async (t) => {
	const at = folder(t)
	const announced = announceWatcher(at.path, record('app'), UP_TO_TWO_MINUTES)
	updateRegistrySync(at.path, (registry) => ({ ...registry, sync: true }), UP_TO_TWO_MINUTES)
	await announced
	assert.equal(at.json().sync, true)
	const holder = await held(t, at)
	const next = waitInFront(at)
	const together = ['b', 'c', 'd'].map((id) =>
		announceWatcher(at.path, record(id), UP_TO_TWO_MINUTES),
	)
	await next()
	holder.settle()
	updateRegistrySync(at.path, (registry) => ({ ...registry, sync: 2 }), UP_TO_TWO_MINUTES)
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

test('an operation whose timeout is over names the holder of the lock; the others go on', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const impatient = [0, 1, 30].map((timeoutMs) =>
		announceWatcher(at.path, record(`impatient-${timeoutMs}`), { timeoutMs }),
	)
	const patient = [1, 2].map((n) =>
		announceWatcher(at.path, record(`patient-${n}`), UP_TO_TWO_MINUTES),
	)
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

test('operations that wait together give up by their own timeout and signal; the others stay', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const next = waitInFront(at)
	const controller = new AbortController()
	const patient = [announceWatcher(at.path, record('first'), UP_TO_TWO_MINUTES)]
	const aborted = announceWatcher(at.path, record('aborted'), {
		...UP_TO_TWO_MINUTES,
		signal: controller.signal,
	})
	const impatient = announceWatcher(at.path, record('impatient'), { timeoutMs: 300 })
	patient.push(announceWatcher(at.path, record('last'), UP_TO_TWO_MINUTES))
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

test('a prune with nothing to do waits for no lock, whatever is queued behind it', async (t) => {
	const at = folder(t)
	at.put(print({ ...EMPTY, watchers: { app: record('app') } }))
	const holder = await held(t, at)
	const next = waitInFront(at)
	const pruned = pruneStaleWatchers(at.path, UP_TO_TWO_MINUTES)
	const announced = announceWatcher(at.path, record('last'), UP_TO_TWO_MINUTES)
	await next()
	assert.deepEqual(await pruned, [])
	holder.settle()
	await announced
	assert.deepEqual(at.ids(), ['app', 'last'])
})

test('an operation whose promise settles has left the queue', async (t) => {
	const at = folder(t)
	const once = { timeoutMs: 0, durable: false }
	for (let round = 0; round < 20; round += 1) {
		const announced = Array.from({ length: round }, () =>
			announceWatcher(at.path, record('app'), UP_TO_TWO_MINUTES),
		)
		await Promise.all([...announced, announceWatcher(at.path, record('last'), UP_TO_TWO_MINUTES)])
		await removeWatcher(at.path, 'last', once)
		await heartbeatWatcher(at.path, 'last', once)
	}
})

test('an aborted operation is not done, and does not delay the operations behind it', async (t) => {
	const at = folder(t)
	const holder = await held(t, at)
	const mine = new Error('mine')
	const controllers = [0, 1, 2].map(() => new AbortController())
	const aborted = controllers.map(({ signal }, index) =>
		announceWatcher(at.path, record(`aborted-${index}`), { ...UP_TO_TWO_MINUTES, signal }),
	)
	const last = announceWatcher(at.path, record('last'), UP_TO_TWO_MINUTES)
	// The operation that waits for the lock, another of its batch, and one that was aborted before.
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

test('an operation that has begun is not aborted: its result is the answer', async (t) => {
	const at = folder(t)
	for (let round = 0; round < 50; round += 1) {
		const controller = new AbortController()
		const id = `app-${round}`
		const announced = announceWatcher(at.path, record(id), {
			...UP_TO_TWO_MINUTES,
			signal: controller.signal,
		})
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

test('an operation with a lower staleMs does not wait in the batch of others', async (t) => {
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
	// An age is measured in ticks of the file system's clock: within one tick it is 0, which is not
	// more than `staleMs`.
	const aSecondAgo = Date.now() / 1000 - 1
	utimesSync(at.lockfile, aSecondAgo, aSecondAgo)
	await announceWatcher(at.path, record('alone'), { timeoutMs: 0, staleMs: 0 })
	assert.deepEqual(at.ids(), ['waits', 'sooner', 'alone'])
})
