// The functions of a caller run in the async context of the call that brought them, also where calls run
// in each other's batches.

import assert from 'node:assert/strict'
import { AsyncLocalStorage, executionAsyncResource } from 'node:async_hooks'
import { test } from 'node:test'
import {
	announceWatcher,
	Document,
	startRegistryHeartbeat,
	updateRegistry,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { EMPTY, folder, record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { skipIf } from '../support/skip.mjs'

const CALLS = 8

const lockOf = (path) => (fn) => withRegistryLock(path, fn, UP_TO_A_MINUTE)

/** Holds a lock until the function that it returns is called. */
const hold = (lock) =>
	new Promise((resolve) => {
		const held = lock(
			() =>
				new Promise((release) => {
					resolve(() => {
						release()
						return held
					})
				}),
		)
	})

/** Makes calls that wait together, because the lock is held until all are made. */
const together = async (lock, makeCalls) => {
	const release = await hold(lock)
	const calls = makeCalls()
	release()
	return Promise.all(calls)
}

/**
 * Makes calls that wait together, each in a store of its own; returns what `note` was called with in
 * each of the stores.
 */
const storesSeen = async (path, call) => {
	const storage = new AsyncLocalStorage()
	const seen = Array.from({ length: CALLS }, () => new Set())
	const noteOf = (index) => (what) => {
		seen[index].add(`${what}: ${storage.getStore()}`)
	}
	await together(lockOf(path), () =>
		seen.map((_, index) =>
			storage.run(index, async () => {
				const note = noteOf(index)
				await call(note, index)
				note('continuation')
			}),
		),
	)
	return seen.map((each) => [...each].sort())
}

const expected = (...names) =>
	Array.from({ length: CALLS }, (_, index) => names.map((name) => `${name}: ${index}`).sort())

test('updaters that run in one batch see the stores of their own calls', async (t) => {
	const at = folder(t)
	const sync = await storesSeen(at.path, (note) =>
		updateRegistry(
			at.path,
			(registry) => {
				note('updater')
				return { ...registry, updatedAt: registry.updatedAt + 1 }
			},
			UP_TO_A_MINUTE,
		),
	)
	assert.deepEqual(sync, expected('updater', 'continuation'))
	const async = await storesSeen(at.path, (note) =>
		updateRegistry(
			at.path,
			async (registry) => {
				note('updater')
				await null
				note('updater, later')
				return registry
			},
			UP_TO_A_MINUTE,
		),
	)
	assert.deepEqual(async, expected('updater', 'updater, later', 'continuation'))
	const held = await storesSeen(at.path, (note) =>
		withRegistryLock(at.path, () => note('fn'), UP_TO_A_MINUTE),
	)
	assert.deepEqual(held, expected('fn', 'continuation'))
})

test('the functions of a document see the store of the call that runs them', async (t) => {
	const at = folder(t)
	const storage = new AsyncLocalStorage()
	let seen = []
	const note = (what) => seen.push(`${what}: ${storage.getStore()}`)
	const document = new Document(at.path, {
		decode: (text) => {
			note('decode')
			return JSON.parse(text)
		},
		encode: (value) => {
			note('encode')
			return JSON.stringify(value)
		},
		empty: () => {
			note('empty')
			return 0
		},
		onCorrupt: 'keep',
		onWarning: () => note('onWarning'),
		durable: false,
	})
	/** What is seen by calls that wait together. */
	const seenBy = async (...calls) => {
		const lock = (fn) => document.withLock(fn)
		seen = []
		await together(lock, () => calls.map((call, index) => storage.run(index, call)))
		return [...new Set(seen)].sort()
	}
	const add = () => document.update((value) => value + 1)
	const keep = () => document.update((value) => value)
	const async = () => document.update(async (value) => value + 1)
	assert.deepEqual(await seenBy(keep, keep), ['empty: 0', 'empty: 1', 'encode: 0', 'encode: 1'])
	assert.deepEqual(await seenBy(keep, add, async), [
		'decode: 2',
		...['empty: 0', 'empty: 1'],
		...['encode: 0', 'encode: 1', 'encode: 2'],
	])
	assert.deepEqual(await seenBy(add, add, async), [
		...['decode: 0', 'decode: 1', 'decode: 2'],
		...['encode: 0', 'encode: 1', 'encode: 2'],
	])
	at.put('{')
	// The first one changes nothing: it is the second one that replaces the content.
	const warned = await seenBy(keep, add, async)
	assert.deepEqual(
		warned.filter((each) => each.startsWith('onWarning')),
		['onWarning: 1'],
	)
	at.put('{')
	assert.deepEqual(
		(
			await seenBy(keep, () => document.save(7, { timeoutMs: UP_TO_A_MINUTE.timeoutMs }), keep)
		).filter((each) => each.startsWith('onWarning')),
		['onWarning: 1'],
	)
	// What is written before an async updater is settled is another call's.
	at.put('{')
	assert.deepEqual(
		(await seenBy(add, async)).filter((each) => each.startsWith('onWarning')),
		['onWarning: 0'],
	)
})

test('a warning is delivered in the context of the call whose change replaced the content', async (t) => {
	const at = folder(t)
	const warnings = []
	const seen = await storesSeen(at.path, async (note, index) => {
		if (index === 0) at.put('no registry')
		const onWarning = () => {
			warnings.push(index)
			note('onWarning')
		}
		await updateRegistry(
			at.path,
			(registry) => (index < 3 ? registry : { ...registry, updatedAt: index }),
			{ ...UP_TO_A_MINUTE, onWarning },
		)
	})
	assert.deepEqual(warnings, [3])
	assert.deepEqual(seen[3], ['continuation: 3', 'onWarning: 3'])
})

test('what onWarning throws is a warning of the process in the context of its call', async (t) => {
	const at = folder(t)
	const storage = new AsyncLocalStorage()
	const emitWarning = process.emitWarning
	cleanUp(t, () => {
		process.emitWarning = emitWarning
	})
	const seen = []
	process.emitWarning = (message) => seen.push(`${message} in ${storage.getStore()}`)
	const update = (updater, onWarning) =>
		updateRegistry(at.path, updater, { ...UP_TO_A_MINUTE, onWarning })
	const touch = (registry) => ({ ...registry, updatedAt: 1 })
	await together(lockOf(at.path), () => {
		at.put('no registry')
		return [
			storage.run('first', () => update((registry) => registry)),
			storage.run('second', () =>
				update(touch, async () => {
					throw new Error('no')
				}),
			),
		]
	})
	assert.deepEqual(seen, ['onWarning: no in second'])
})

test('entry operations warn in the context of their call', async (t) => {
	const at = folder(t)
	const seen = await storesSeen(at.path, async (note, index) => {
		if (index === 0) at.put('no registry')
		const onWarning = () => note('onWarning')
		await announceWatcher(at.path, record(`w${index}`), { ...UP_TO_A_MINUTE, onWarning })
	})
	assert.deepEqual(seen[0], ['continuation: 0', 'onWarning: 0'])
	assert.deepEqual(seen.slice(1), expected('continuation').slice(1))
})

test('an abort and a timeout reject in the context of the call', async (t) => {
	const at = folder(t)
	const storage = new AsyncLocalStorage()
	const aborter = new AbortController()
	const seen = []
	const noteCode = async (name, options) => {
		const same = (registry) => registry
		const failed = updateRegistry(at.path, same, { ...UP_TO_A_MINUTE, ...options })
		const { code } = await failed.catch((error) => error)
		seen.push(`${code} ${name}: ${storage.getStore()}`)
	}
	const calls = []
	const release = await hold(lockOf(at.path))
	for (const options of [{ signal: aborter.signal }, { timeoutMs: 1 }]) {
		for (const name of ['a', 'b']) calls.push(storage.run(name, () => noteCode(name, options)))
	}
	storage.run('aborter', () => aborter.abort())
	await Promise.all(calls)
	await release()
	assert.deepEqual(seen.sort(), [
		...['ABORTED a: a', 'ABORTED b: b'],
		...['LOCK_TIMEOUT a: a', 'LOCK_TIMEOUT b: b'],
	])
})

test('a watch warns in the context in which it was made, whichever calls next', async (t) => {
	const at = folder(t)
	const storage = new AsyncLocalStorage()
	const seen = []
	const onWarning = () => seen.push(storage.getStore())
	at.put('no registry')
	const watch = storage.run('made', () => watchRegistry(at.path, { onWarning }))
	cleanUp(t, () => watch.return())
	await storage.run('next', async () => {
		await watch.next()
		assert.equal(storage.getStore(), 'next')
	})
	assert.deepEqual(seen, ['made'])
})

test('a heartbeat calls getWatcher and onError in the context in which it was started', async (t) => {
	const at = folder(t)
	const storage = new AsyncLocalStorage()
	const watcher = record('app')
	const seen = new Set()
	let beats = 0
	const getWatcher = () => {
		seen.add(`getWatcher: ${storage.getStore()}`)
		beats += 1
		if (beats === 2) throw new Error('no record')
		return watcher
	}
	const onError = () => {
		seen.add(`onError: ${storage.getStore()}`)
	}
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	const heartbeat = storage.run('started', () =>
		startRegistryHeartbeat(at.path, getWatcher, { ...UP_TO_A_MINUTE, intervalMs: 1, onError }),
	)
	while (beats < 3) await new Promise(setImmediate)
	await storage.run('stopped', () => heartbeat.stop({ remove: true }))
	// The removal's error, too.
	beats = 1
	const another = storage.run('started', () =>
		startRegistryHeartbeat(at.path, getWatcher, { ...UP_TO_A_MINUTE, onError }),
	)
	await storage.run('stopped', () => another.stop({ remove: true }))
	assert.deepEqual([...seen].sort(), ['getWatcher: started', 'onError: started'])
})

test('users of domains and of async hooks see their own', {
	skip: skipIf(
		process.versions.bun || process.versions.deno,
		'only Node has domains and async hooks',
	),
}, async (t) => {
	const { default: domain } = await import('node:domain')
	const at = folder(t)
	const seen = []
	const resources = new Set()
	const note = (registry) => {
		seen.push(process.domain?.name)
		resources.add(executionAsyncResource())
		return registry
	}
	await together(lockOf(at.path), () =>
		['a', 'b', 'c'].map((name) => {
			const own = Object.assign(domain.create(), { name })
			return own.run(() => updateRegistry(at.path, note, UP_TO_A_MINUTE))
		}),
	)
	assert.deepEqual(seen, ['a', 'b', 'c'])
	assert.equal(resources.size, 3)
})

/**
 * What two updates of one registry need that run in one batch, one of which is called within an update
 * of another registry, `outer`, and the other, by `outside`, outside of it.
 */
const inOneBatch = async (t) => {
	const at = folder(t)
	const outer = `${at.dir}/outer.json`
	await writeRegistry(outer, EMPTY, UP_TO_A_MINUTE)
	await writeRegistry(at.path, EMPTY, UP_TO_A_MINUTE)
	let outside
	const fromOutside = new Promise((resolve) => {
		outside = resolve
	})
	const plain = () => updateRegistry(at.path, (r) => ({ ...r, plain: true }), UP_TO_A_MINUTE)
	const nesting = () =>
		updateRegistry(
			at.path,
			async (registry) => {
				await updateRegistry(outer, (r) => ({ ...r, done: true }), {
					...UP_TO_A_MINUTE,
					timeoutMs: 5_000,
				})
				return registry
			},
			UP_TO_A_MINUTE,
		)
	const unlock = await hold(lockOf(at.path))
	const second = fromOutside.then((call) => call())
	return { outer, plain, nesting, outside, unlock, second }
}

test('an updater is not refused for what the first call of its batch is inside of', async (t) => {
	const { outer, plain, nesting, outside, unlock, second } = await inOneBatch(t)
	await updateRegistry(
		outer,
		async (registry) => {
			const first = plain()
			outside(nesting)
			await null
			await null
			unlock()
			await first
			return registry
		},
		UP_TO_A_MINUTE,
	)
	await second
})

test('an updater that waits for itself is refused whatever the first call of its batch is', async (t) => {
	const { outer, plain, nesting, outside, unlock, second } = await inOneBatch(t)
	await updateRegistry(
		outer,
		async (registry) => {
			outside(plain)
			await null
			await null
			const nested = nesting()
			unlock()
			await assert.rejects(nested, { code: 'RE_ENTRANT' })
			return registry
		},
		UP_TO_A_MINUTE,
	)
	await second
})
