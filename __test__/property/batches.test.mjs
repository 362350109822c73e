// Calls that wait for one lock, aborted and failing in every order: those that were acknowledged have taken
// effect, once and in order, and no other has.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
	readRegistry,
	removeWatcher,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
} from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'

/** A call of each kind, and what becomes of it. */
const call = fc.record({
	kind: fc.constantFrom('sync', 'async', 'async', 'lock', 'entry', 'callSync'),
	/** What the updater does. */
	does: fc.constantFrom('push', 'push', 'push', 'throw', 'invalid', 'nothing'),
	/** Aborted: never, before the call, by its own updater, or at some turn of the event loop. */
	aborts: fc.oneof(
		{ weight: 3, arbitrary: fc.constant('never') },
		fc.constantFrom('before', 'inside'),
		fc.nat(12),
	),
	/** Turns of the event loop until the next call is started, and within an asynchronous updater. */
	pause: fc.nat(3),
	isBounded: fc.boolean(),
})

const turn = () => new Promise((resolve) => setImmediate(resolve))
const turns = async (count) => {
	for (let at = 0; at < count; at += 1) await turn()
}

const pushed = (registry, index) => ({ ...registry, done: [...(registry.done ?? []), index] })

/** Starts a call. The promise says whether it was acknowledged, and whether it pushes its index. */
const start = (at, { kind, does, aborts, pause, isBounded }, index) => {
	const controller = new AbortController()
	const { signal } = controller
	if (aborts === 'before') controller.abort()
	if (typeof aborts === 'number') turns(aborts).then(() => controller.abort())
	const limits = isBounded
		? UP_TO_A_MINUTE
		: { timeoutMs: Number.POSITIVE_INFINITY, durable: false }
	const options = { ...limits, signal }
	const seen = { calls: 0 }
	const update = (registry) => {
		seen.calls += 1
		if (aborts === 'inside') controller.abort()
		if (does === 'throw') throw new Error('on purpose')
		if (does === 'invalid') return { version: 'none' }
		return does === 'nothing' ? registry : pushed(registry, index)
	}
	const started = {
		sync: () => updateRegistry(at.path, update, options),
		async: () =>
			updateRegistry(
				at.path,
				async (registry) => {
					await turns(pause)
					return update(registry)
				},
				options,
			),
		lock: () =>
			withRegistryLock(
				at.path,
				async (lock) => {
					const { registry } = await readRegistry(at.path)
					await turns(pause)
					await lock.write(update(registry))
					seen.written = true
				},
				options,
			),
		entry: () => removeWatcher(at.path, `w${index}`, options),
		callSync: async () =>
			updateRegistrySync(at.path, update, { durable: false, timeoutMs: 60_000 }),
	}[kind]
	return started().then(
		(value) => ({ index, kind, does, acknowledged: true, value, seen }),
		(error) => ({ index, kind, does, acknowledged: false, error, seen }),
	)
}

test('what was acknowledged is in the file, once and in order of arrival, and nothing else', async (t) => {
	const at = folder(t)
	await fc.assert(
		fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 10 }), async (calls) => {
			const watchers = Object.fromEntries(
				calls.map((_, index) => [`w${index}`, { id: `w${index}` }]),
			)
			at.put(print({ ...EMPTY, watchers }))
			const started = []
			for (const [index, plan] of calls.entries()) {
				started.push(start(at, plan, index))
				if (index % 2 === 0) await turns(plan.pause)
			}
			const outcomes = await Promise.all(started)
			const { done = [], watchers: left } = at.json()
			const pushes = outcomes.filter(
				({ acknowledged, kind, does, seen }) =>
					// What was written under a lock stays, also if the call is aborted after it.
					(acknowledged || seen.written) && kind !== 'entry' && does === 'push',
			)
			// A synchronous call goes ahead of those that wait in the queue.
			const inQueue = (indexes) => indexes.filter((index) => calls[index].kind !== 'callSync')
			const expected = pushes.map(({ index }) => index)
			assert.deepEqual(inQueue(done), inQueue(expected))
			assert.deepEqual([...done].sort(), [...expected].sort())
			for (const { index, kind, does, acknowledged, value, error, seen } of outcomes) {
				const isRemoved = kind === 'entry' && acknowledged
				assert.equal(Object.hasOwn(left, `w${index}`), !isRemoved, `w${index}`)
				if (isRemoved) assert.equal(value, true)
				if (kind === 'entry') continue
				if (acknowledged) {
					assert.ok(does === 'push' || does === 'nothing')
					assert.equal(seen.calls, 1)
				} else {
					const isOwn = does === 'throw' && error.message === 'on purpose'
					const codes = ['ABORTED', 'INVALID_VALUE', 'RE_ENTRANT']
					assert.ok(isOwn || codes.includes(error.code) || error.name === 'AbortError', error)
				}
			}
			// Another thread may still give up the lock of a call that was aborted: this call waits for it.
			await updateRegistry(at.path, (registry) => registry, UP_TO_A_MINUTE)
			assert.deepEqual(at.others(), [])
		}),
		{ numRuns: 150 },
	)
})
