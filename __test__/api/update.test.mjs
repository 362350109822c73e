// The calls that update a registry: updaters, values, arguments.

import assert from 'node:assert/strict'
import { readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as esm from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'

const { RegistryError, readRegistry, readRegistrySync, updateRegistry, updateRegistrySync } = esm
const here = dirname(fileURLToPath(import.meta.url))

/** The two calls that update, as calls that return a promise. */
const both = {
	updateRegistry,
	updateRegistrySync: async (...args) => updateRegistrySync(...args),
}

test('ESM and CommonJS import the same functions, and the typings file uses all of them', () => {
	const commonJs = createRequire(import.meta.url)('../../index.js')
	const typings = readFileSync(join(here, 'typings.mts'), 'utf8')
	for (const name of Object.keys(commonJs)) {
		assert.equal(Reflect.get(esm, name), commonJs[name], name)
		assert.match(typings, new RegExp(`\\b${name}\\b`))
	}
	assert.ok(Object.keys(commonJs).length >= 13)
})

for (const [name, update] of Object.entries(both)) {
	test(`${name}: what the updater returns is in the file when it is done`, async (t) => {
		const at = folder(t)
		at.put(print(EMPTY))
		const next = { ...EMPTY, updatedAt: 7, watchers: { a: { id: 'a' } } }
		assert.equal(await update(at.path, () => next), next)
		assert.equal(at.text(), print(next))
		assert.deepEqual(at.others(), [])
	})

	test(`${name}: the updater gets an object of its own each time`, async (t) => {
		const at = folder(t)
		at.put(print({ ...EMPTY, watchers: { a: { id: 'a' } } }))
		let first
		await update(at.path, (registry) => {
			first = registry
			return registry
		})
		first.watchers.a.id = 'changed later'
		await update(at.path, (registry) => {
			assert.notEqual(registry, first)
			assert.equal(registry.watchers.a.id, 'a')
			return registry
		})
	})

	test(`${name}: the given object, unchanged, writes nothing; changed in place, it is written`, async (t) => {
		const at = folder(t)
		await update(at.path, (registry) => registry)
		assert.throws(() => statSync(at.path), { code: 'ENOENT' })
		// Not in this package's layout: what counts is the value.
		at.put('{"version":1,"updatedAt":1.50,"watchers":{}}')
		const before = statSync(at.path, { bigint: true })
		await update(at.path, (registry) => registry)
		const after = statSync(at.path, { bigint: true })
		assert.deepEqual([after.ino, after.mtimeNs], [before.ino, before.mtimeNs])
		await update(at.path, (registry) => {
			registry.watchers.a = { id: 'a' }
			return registry
		})
		assert.equal(at.text(), print({ version: 1, updatedAt: 1.5, watchers: { a: { id: 'a' } } }))
	})

	test(`${name}: an updater's own error comes back as it is, and nothing is written`, async (t) => {
		const at = folder(t)
		at.put(print(EMPTY))
		for (const thrown of [new TypeError('mine'), 'a string', undefined]) {
			const fail = () => {
				throw thrown
			}
			const caught = await update(at.path, fail).then(
				() => assert.fail('resolved'),
				(error) => error,
			)
			assert.equal(caught, thrown)
		}
		assert.equal(at.text(), print(EMPTY))
		assert.deepEqual(at.others(), [])
		await update(at.path, (registry) => registry, { timeoutMs: 0 })
	})

	test(`${name}: a value that is no registry is a typed error, and nothing is written`, async (t) => {
		const at = folder(t)
		at.put(print(EMPTY))
		const cycle = { ...EMPTY }
		cycle.self = cycle
		const cases = {
			undefined: undefined,
			null: null,
			'an array': [],
			'a string': 'x',
			'a cycle': cycle,
			'a BigInt': { ...EMPTY, updatedAt: 1n },
			'a BigInt deep down': { ...EMPTY, deep: { n: 1n } },
			'no version': { updatedAt: 0, watchers: {} },
			'another version': { ...EMPTY, version: 2 },
			'no watchers': { version: 1, updatedAt: 0 },
			'watchers in an array': { ...EMPTY, watchers: [] },
			'watchers in a Map': { ...EMPTY, watchers: new Map([['a', {}]]) },
			'a date that prints as null': { ...EMPTY, updatedAt: Number.NaN },
			'a view of a registry': Object.create(EMPTY),
			'getters of a class': new (class {
				get version() {
					return 1
				}
				get updatedAt() {
					return 0
				}
				get watchers() {
					return {}
				}
			})(),
			'a proxy that hides its keys': new Proxy({ ...EMPTY }, { ownKeys: () => [] }),
			'watchers that hide': Object.defineProperty({ ...EMPTY }, 'watchers', { enumerable: false }),
			'watchers that print otherwise': { ...EMPTY, watchers: { toJSON: () => 5 } },
			'watchers that print nothing': { ...EMPTY, watchers: { toJSON: () => undefined } },
			'a Map in disguise': {
				...EMPTY,
				watchers: Object.defineProperty(new Map([['a', {}]]), Symbol.toStringTag, {
					value: 'Object',
				}),
			},
			'a toJSON that prints something else': { ...EMPTY, toJSON: () => [] },
			'a toJSON that prints nothing': { ...EMPTY, toJSON: () => undefined },
		}
		for (const [what, value] of Object.entries(cases)) {
			await assert.rejects(
				update(at.path, () => value),
				(error) => {
					assert.ok(error instanceof RegistryError, what)
					assert.equal(error.code, 'INVALID_VALUE', what)
					assert.equal(error.path, at.path, what)
					return true
				},
			)
		}
		assert.equal(at.text(), print(EMPTY))
		await update(at.path, (registry) => registry, { timeoutMs: 0 })
	})

	test(`${name}: bad arguments are typed errors`, async (t) => {
		const at = folder(t)
		const good = (registry) => registry
		const cases = [
			['', good],
			[undefined, good],
			[7, good],
			['a\0b', good],
			[at.path, 'no function'],
			[at.path, undefined],
			[at.path, good, null],
			[at.path, good, 'options'],
			[at.path, good, { timeoutMs: -1 }],
			[at.path, good, { timeoutMs: Number.NaN }],
			[at.path, good, { timeoutMs: '5' }],
			[at.path, good, { staleMs: null }],
			[at.path, good, { durable: 1 }],
			[at.path, good, { onWarning: {} }],
			[at.path, good, { signal: {} }],
		]
		for (const args of cases) {
			await assert.rejects(update(...args), { name: 'RegistryError', code: 'INVALID_VALUE' })
		}
	})

	test(`${name}: the folder is created`, async (t) => {
		const at = folder(t)
		const path = join(at.dir, 'not', 'yet', 'registry.json')
		await update(path, (registry) => ({ ...registry, updatedAt: 3 }), { durable: false })
		assert.equal(readRegistrySync(path).registry.updatedAt, 3)
	})
}

test('an async updater is awaited', async (t) => {
	const at = folder(t)
	await updateRegistry(at.path, async (registry) => {
		await new Promise(setImmediate)
		return { ...registry, updatedAt: 9 }
	})
	assert.equal(at.json().updatedAt, 9)
	const rejected = new Error('mine')
	const caught = await updateRegistry(at.path, async () => {
		throw rejected
	}).catch((error) => error)
	assert.equal(caught, rejected)
})

test('a synchronous update refuses a promise', async (t) => {
	const at = folder(t)
	const updater = async (registry) => ({ ...registry, updatedAt: 9 })
	assert.throws(() => updateRegistrySync(at.path, updater), { code: 'INVALID_VALUE' })
	assert.throws(() => statSync(at.path), { code: 'ENOENT' })
})

test('a promise that a synchronous update refuses may reject: it is no unhandled rejection', async (t) => {
	const at = folder(t)
	const unhandled = []
	const listener = (reason) => unhandled.push(reason)
	process.on('unhandledRejection', listener)
	cleanUp(t, () => process.off('unhandledRejection', listener))
	const updater = async () => {
		throw new Error('mine')
	}
	assert.throws(() => updateRegistrySync(at.path, updater), { code: 'INVALID_VALUE' })
	await new Promise(setImmediate)
	assert.deepEqual(unhandled, [])
})

test('without options an update waits as argus does, and survives a power failure', () => {
	const { prepare } = createRequire(import.meta.url)('../../lib/options.js')
	const { timeoutMs, staleMs, durable } = prepare('registry.json')
	assert.deepEqual(
		{ timeoutMs, staleMs, durable },
		{ timeoutMs: 2_000, staleMs: 10_000, durable: true },
	)
})

test('writeRegistry writes what the registry was at the time of the call', async (t) => {
	const at = folder(t)
	const registry = { ...EMPTY, updatedAt: 1 }
	const written = esm.writeRegistry(at.path, registry)
	registry.updatedAt = 2
	await written
	assert.equal(at.json().updatedAt, 1)
	await assert.rejects(esm.writeRegistry(at.path, {}), { code: 'INVALID_VALUE' })
})

test('withRegistryLock holds the lock, and its lock writes', async (t) => {
	const at = folder(t)
	const value = await esm.withRegistryLock(at.path, async (lock) => {
		assert.equal(lock.path, at.path)
		assert.equal((await esm.inspectLock(at.path)).state, 'held')
		await lock.write({ ...EMPTY, updatedAt: 1 })
		await lock.write({ ...EMPTY, updatedAt: 2 })
		assert.equal((await readRegistry(at.path)).registry.updatedAt, 2)
		await assert.rejects(lock.write({}), { code: 'INVALID_VALUE' })
		return 'value'
	})
	assert.equal(value, 'value')
	assert.equal(at.json().updatedAt, 2)
	assert.equal((await esm.inspectLock(at.path)).state, 'free')
})

test('the writes of withRegistryLock are done in order, awaited or not, and none afterwards', async (t) => {
	const at = folder(t)
	let late
	await esm.withRegistryLock(
		at.path,
		(lock) => {
			late = lock
			for (let updatedAt = 1; updatedAt <= 50; updatedAt += 1) lock.write({ ...EMPTY, updatedAt })
		},
		{ durable: false },
	)
	assert.equal(at.json().updatedAt, 50)
	await assert.rejects(late.write(EMPTY), { code: 'INVALID_VALUE' })
	assert.equal(at.json().updatedAt, 50)
})

test('when the function of withRegistryLock fails, its writes are done before the lock is free', async (t) => {
	const at = folder(t)
	let late
	const mine = new Error('mine')
	const failed = esm.withRegistryLock(
		at.path,
		(lock) => {
			late = lock
			for (let updatedAt = 1; updatedAt <= 5; updatedAt += 1) lock.write({ ...EMPTY, updatedAt })
			throw mine
		},
		{ durable: false },
	)
	await assert.rejects(failed, (error) => error === mine)
	assert.equal(at.json().updatedAt, 5)
	await assert.rejects(late.write(EMPTY), { code: 'INVALID_VALUE' })
})

test('the writes of withRegistryLock are of what the registry was at the time of the call', async (t) => {
	const at = folder(t)
	await esm.withRegistryLock(at.path, (lock) => {
		const registry = { ...EMPTY, updatedAt: 1 }
		lock.write(registry)
		registry.updatedAt = 2
	})
	assert.equal(at.json().updatedAt, 1)
})

test('registryPath follows the environment', (t) => {
	const saved = { ...process.env }
	cleanUp(t, () => {
		for (const name of ['ARGUS_REGISTRY_PATH', 'ARGUS_HOME']) {
			if (saved[name] === undefined) delete process.env[name]
			else process.env[name] = saved[name]
		}
	})
	process.env.ARGUS_REGISTRY_PATH = '/a/b.json'
	process.env.ARGUS_HOME = '/c'
	assert.equal(esm.registryPath(), '/a/b.json')
	process.env.ARGUS_REGISTRY_PATH = ''
	assert.equal(normalize(esm.registryPath()), join('/c', 'registry.json'))
	process.env.ARGUS_HOME = ''
	assert.match(esm.registryPath(), /\.argus[\\/]registry\.json$/)
})
