// What an update does about a file that holds no registry: `onCorrupt`.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	announceWatcher,
	claimWatcher,
	createEmptyRegistry,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
	setWatcherEntry,
	startRegistryHeartbeat,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { documentIn, LOCKS, lists, push } from '../support/documents.mjs'
import { folder, record } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'

/** No registry: a person has mistyped a comma. */
const MISTYPED = '{ "version": 1,, "updatedAt": 0, "watchers": {} }'

const add = (id) => (registry) => setWatcherEntry(registry, record(id))

/** Every call that updates a registry. */
const calls = {
	updateRegistry: (path, options) => updateRegistry(path, add('a'), options),
	'updateRegistry, async updater': (path, options) =>
		updateRegistry(path, async (registry) => add('a')(registry), options),
	updateRegistrySync: async (path, options) => updateRegistrySync(path, add('a'), options),
	writeRegistry: (path, options) => writeRegistry(path, createEmptyRegistry(), options),
	withRegistryLock: (path, options) =>
		withRegistryLock(path, (lock) => lock.write(createEmptyRegistry()), options),
	announceWatcher: (path, options) => announceWatcher(path, record('a'), options),
	claimWatcher: (path, options) => claimWatcher(path, record('a'), options),
	heartbeatWatcher: (path, options) => heartbeatWatcher(path, record('a'), options),
	removeWatcher: (path, options) => removeWatcher(path, 'a', options),
	pruneStaleWatchers,
	'pruneStaleWatchers by liveness': (path, options) =>
		pruneStaleWatchers(path, { ...options, liveness: true }),
}

for (const [name, call] of Object.entries(calls)) {
	for (const durable of [false, true]) {
		test(`onCorrupt 'fail', ${durable ? 'durable' : 'fast'}: ${name} refuses content that is no registry, and leaves it`, async (t) => {
			const at = folder(t)
			at.put(MISTYPED)
			const warnings = []
			const onWarning = (warning) => warnings.push(warning)
			const options = { ...DOCUMENT_UP_TO_A_MINUTE, durable, onCorrupt: 'fail', onWarning }
			await assert.rejects(call(at.path, options), {
				name: 'RegistryError',
				code: 'CORRUPT',
				path: at.path,
			})
			assert.equal(at.text(), MISTYPED)
			assert.deepEqual([at.others(), warnings], [[], []])
		})
	}
}

test("onCorrupt 'fail' is no other than 'keep' for a registry, and for no file", async (t) => {
	const at = folder(t)
	const options = { ...DOCUMENT_UP_TO_A_MINUTE, durable: false, onCorrupt: 'fail' }
	assert.deepEqual(await pruneStaleWatchers(at.path, options), [])
	for (const [name, call] of Object.entries(calls))
		await assert.doesNotReject(call(at.path, options), name)
})

test('a registry is kept and begun anew by default', async (t) => {
	const at = folder(t)
	at.put(MISTYPED)
	const kept = []
	await announceWatcher(at.path, record('a'), {
		...DOCUMENT_UP_TO_A_MINUTE,
		onWarning: (each) => kept.push(each.kept),
	})
	assert.deepEqual(at.ids(), ['a'])
	assert.deepEqual(
		kept,
		at.others().map((each) => join(at.dir, each)),
	)
	assert.equal(readFileSync(kept[0], 'utf8'), MISTYPED)
})

test('what onCorrupt may be', async (t) => {
	const at = folder(t)
	for (const onCorrupt of [null, '', 'ignore', true, 'Keep']) {
		for (const call of Object.values(calls)) {
			await assert.rejects(call(at.path, { onCorrupt }), { code: 'INVALID_VALUE' })
		}
		const start = () => startRegistryHeartbeat(at.path, () => record('a'), { onCorrupt })
		assert.throws(start, {
			code: 'INVALID_VALUE',
			message: /^onCorrupt is .+; pass 'keep' or 'fail'$/,
		})
	}
})

for (const [kind, operate] of [
	['updates', (path, id, options) => updateRegistry(path, add(id), options)],
	['entry operations', (path, id, options) => announceWatcher(path, record(id), options)],
]) {
	test(`${kind} that wait together: each does as its own onCorrupt says`, async (t) => {
		const at = folder(t)
		at.put(MISTYPED)
		const warned = []
		let unblock
		const blocker = withRegistryLock(
			at.path,
			() =>
				new Promise((resolve) => {
					unblock = resolve
				}),
			DOCUMENT_UP_TO_A_MINUTE,
		)
		const done = ['fail', 'fail', 'keep', 'fail', 'keep'].map((onCorrupt, index) => {
			const onWarning = () => warned.push(index)
			return operate(at.path, `w${index}`, {
				...DOCUMENT_UP_TO_A_MINUTE,
				durable: false,
				onCorrupt,
				onWarning,
			})
		})
		const settled = Promise.allSettled(done)
		while (!unblock) await new Promise((resolve) => setImmediate(resolve))
		unblock()
		await blocker
		// The third one begins a new registry, so those behind it find one.
		const codes = (await settled).map(({ reason }) => reason?.code)
		assert.deepEqual(codes, ['CORRUPT', 'CORRUPT', undefined, undefined, undefined])
		assert.deepEqual(at.ids(), ['w2', 'w3', 'w4'])
		assert.deepEqual(warned, [2])
		assert.equal(at.others().length, 1)
	})
}

test("a heartbeat with onCorrupt 'fail' reports CORRUPT, and goes on", async (t) => {
	const at = folder(t)
	at.put(MISTYPED)
	const codes = []
	const beaten = new Promise((resolve) => {
		const heartbeat = startRegistryHeartbeat(at.path, () => record('a'), {
			intervalMs: 5,
			keepAlive: true,
			onCorrupt: 'fail',
			onError: ({ code }) => {
				if (codes.push(code) === 2) resolve(heartbeat)
			},
		})
	})
	await (await beaten).stop()
	assert.deepEqual(codes.slice(0, 2), ['CORRUPT', 'CORRUPT'])
	assert.equal(at.text(), MISTYPED)
	assert.deepEqual(at.others(), [])
})

for (const lock of LOCKS) {
	test(`${lock}: a document keeps what can't be decoded where it is, unless its user says otherwise`, async (t) => {
		const at = folder(t)
		const refused = documentIn(at, lock, { ...lists, onCorrupt: undefined })
		const keeping = documentIn(at, lock, { ...lists, onCorrupt: 'keep', onWarning: () => {} })
		at.put('[1,,]')
		const outcomes = await Promise.allSettled([
			refused.update(push(1), DOCUMENT_UP_TO_A_MINUTE),
			keeping.update(push(2), DOCUMENT_UP_TO_A_MINUTE),
			refused.update(push(3), DOCUMENT_UP_TO_A_MINUTE),
		])
		const codes = outcomes.map(({ reason }) => reason?.code)
		assert.deepEqual(codes, ['PARSE', undefined, undefined])
		assert.deepEqual(at.json(), [2, 3])
		// A call that replaces the whole value does not need what was there.
		at.put('[1,,]')
		await documentIn(at, lock, { ...lists, onCorrupt: 'fail', onWarning: () => {} }).save(
			[4],
			DOCUMENT_UP_TO_A_MINUTE,
		)
		assert.deepEqual(at.json(), [4])
	})
}
