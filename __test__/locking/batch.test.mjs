// Updates that wait in one process are run together, under one lock and with one commit.

import assert from 'node:assert/strict'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { inspectLock, updateRegistry, withRegistryLock, writeRegistry } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'

const push = (item) => (registry) => ({ ...registry, list: [...(registry.list ?? []), item] })

/**
 * Names the current hold of the lock: the owner record in the guard has a nonce of its own for
 * each.
 */
const hold = (at) => JSON.parse(readFileSync(at.guard, 'utf8')).nonce

test('1,000 concurrent updates take the lock a few times, and are all there, in order', async (t) => {
	const at = folder(t)
	const holds = new Set()
	const seen = new Set()
	const updates = Array.from({ length: 1_000 }, (_, index) =>
		updateRegistry(
			at.path,
			(registry) => {
				holds.add(hold(at))
				assert.equal(seen.has(registry), false, 'an object of its own')
				seen.add(registry)
				assert.equal(registry.count ?? 0, index, 'the predecessor’s result')
				registry.count = index + 1
				return registry
			},
			UP_TO_A_MINUTE,
		),
	)
	const results = await Promise.all(updates)
	assert.equal(at.json().count, 1_000)
	assert.equal(results[499].count, 500)
	// A batch is bounded by time, so their number depends on the machine; one lock each would be
	// 1,000.
	assert.ok(holds.size <= 100, `${holds.size} holds`)
})

test('an update that fails fails alone, and leaves nothing of what it did', async (t) => {
	const at = folder(t)
	const mine = new Error('mine')
	const settled = await Promise.allSettled([
		updateRegistry(at.path, push(0), UP_TO_A_MINUTE),
		updateRegistry(
			at.path,
			(registry) => {
				registry.list.push('of the one that fails')
				throw mine
			},
			UP_TO_A_MINUTE,
		),
		updateRegistry(at.path, () => undefined, UP_TO_A_MINUTE),
		updateRegistry(at.path, push(1), UP_TO_A_MINUTE),
	])
	assert.equal(settled[1].reason, mine)
	assert.equal(settled[2].reason.code, 'INVALID_VALUE')
	assert.deepEqual(
		settled.map(({ status }) => status === 'fulfilled'),
		[true, false, false, true],
	)
	assert.deepEqual(at.json().list, [0, 1])
})

test('updates before an async updater are committed and settled before it settles', async (t) => {
	const at = folder(t)
	let settle
	const before = updateRegistry(at.path, push('before'), UP_TO_A_MINUTE)
	const slow = updateRegistry(
		at.path,
		(registry) => new Promise((resolve) => (settle = () => resolve(push('slow')(registry)))),
		UP_TO_A_MINUTE,
	)
	const after = updateRegistry(at.path, push('after'), UP_TO_A_MINUTE)
	await before
	assert.deepEqual(at.json().list, ['before'])
	assert.equal((await inspectLock(at.path)).state, 'held')
	settle()
	await slow
	await after
	assert.deepEqual(at.json().list, ['before', 'slow', 'after'])
})

test('an async updater that fails does not affect the other updates', async (t) => {
	const at = folder(t)
	const mine = new Error('mine')
	const settled = await Promise.allSettled([
		updateRegistry(at.path, push(0), UP_TO_A_MINUTE),
		updateRegistry(at.path, () => Promise.reject(mine), UP_TO_A_MINUTE),
		updateRegistry(at.path, push(1), UP_TO_A_MINUTE),
	])
	assert.equal(settled[1].reason, mine)
	assert.deepEqual(at.json().list, [0, 1])
})

for (const kind of ['sync', 'async']) {
	test(`all updates of a batch run again if its lock is lost before the commit (last one ${kind})`, async (t) => {
		const at = folder(t)
		at.put(print({ ...EMPTY, list: [] }))
		let runs = 0
		const takeLock = (registry) => {
			runs += 1
			if (runs === 1) {
				// As an old argus does that takes the lock for stale.
				unlinkSync(at.lockfile)
				writeFileSync(at.path, print({ ...EMPTY, list: ['another'] }))
			}
			return push('last')(registry)
		}
		await Promise.all([
			updateRegistry(at.path, push('first'), UP_TO_A_MINUTE),
			updateRegistry(at.path, push('second'), UP_TO_A_MINUTE),
			updateRegistry(
				at.path,
				kind === 'sync' ? takeLock : async (registry) => takeLock(registry),
				UP_TO_A_MINUTE,
			),
		])
		assert.deepEqual(at.json().list, ['another', 'first', 'second', 'last'])
		assert.equal(runs, 2)
	})
}

test('writes are batched, and calls of withRegistryLock keep their place in the queue', async (t) => {
	const at = folder(t)
	const order = []
	const note = (what) => (registry) => {
		order.push(what)
		return push(what)(registry)
	}
	await Promise.all([
		updateRegistry(at.path, note('first'), UP_TO_A_MINUTE),
		writeRegistry(at.path, { ...EMPTY, list: ['written'] }, UP_TO_A_MINUTE),
		updateRegistry(at.path, note('second'), UP_TO_A_MINUTE),
		withRegistryLock(at.path, () => order.push('held'), UP_TO_A_MINUTE),
		updateRegistry(at.path, note('third'), UP_TO_A_MINUTE),
	])
	assert.deepEqual(order, ['first', 'second', 'held', 'third'])
	assert.deepEqual(at.json().list, ['written', 'second', 'third'])
})

test('corrupt bytes are kept once, and the call that replaced them is warned', async (t) => {
	const at = folder(t)
	at.put('bad')
	const warned = []
	const options = (name) => ({
		...UP_TO_A_MINUTE,
		onWarning: ({ kept }) => warned.push([name, kept]),
	})
	await Promise.all([
		updateRegistry(at.path, (registry) => registry, options('looks')),
		updateRegistry(at.path, push(0), options('writes')),
		updateRegistry(at.path, push(1), options('writes too')),
	])
	assert.equal(warned.length, 1)
	assert.equal(warned[0][0], 'writes')
	assert.equal(readFileSync(warned[0][1], 'utf8'), 'bad')
	assert.equal(at.others().length, 1)
})

test('updates of a file that no call can update get the reason', async (t) => {
	const at = folder(t)
	at.put('{"version":2}')
	const settled = await Promise.allSettled(
		[0, 1, 2].map((n) => updateRegistry(at.path, push(n), UP_TO_A_MINUTE)),
	)
	for (const { reason } of settled) assert.equal(reason.code, 'UNSUPPORTED_VERSION')
	assert.equal(at.text(), '{"version":2}')
})
