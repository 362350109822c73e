// Files that are no registries: what a codec of the caller's reads in them.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	RegistryError,
	readRegistry,
	readRegistrySync,
	updateRegistry,
	updateRegistrySync,
} from '../../index.js'
import { caught, lines, same, updates, writes } from '../support/documents.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { installPackage } from '../support/install.mjs'

const LONG = { timeoutMs: 60_000, durable: false }

const push = (item) => (list) => [...list, item]

/** Any JSON. */
const lists = { empty: () => [] }

/** Every call that reads. */
const reads = { readRegistry, readRegistrySync: async (...args) => readRegistrySync(...args) }

const documents = {
	'an object': { version: 'none', b: 1, a: { list: [] } },
	'an array': [1, 'two', null],
	'a number': 1e21,
	'a string': 'text with \ud800 alone',
	true: true,
	null: null,
}

for (const [what, document] of Object.entries(documents)) {
	test(`a document may be ${what}; it is printed as JSON.stringify would`, async (t) => {
		const at = folder(t)
		const options = { ...LONG, codec: { empty: () => 'nothing yet' } }
		for (const [name, write] of Object.entries(writes(document))) {
			await write(at.path, options)
			assert.equal(at.text(), print(document), name)
			for (const read of Object.values(reads)) {
				assert.deepEqual(await read(at.path, options), { registry: document, warnings: [] })
			}
			await updateRegistry(
				at.path,
				(given) => {
					assert.deepEqual(given, document)
					return 'something else'
				},
				options,
			)
		}
		assert.deepEqual(at.others(), [])
	})
}

test('a document need not be JSON, in no step of any call', async (t) => {
	const at = folder(t)
	const options = { ...LONG, codec: lines }
	for (const [name, write] of Object.entries(writes(['a', 'b']))) {
		at.put('# comment\nold')
		await write(at.path, options)
		assert.equal(at.text(), '#\na\nb', name)
	}
	const added = ['c', 'd', 'e'].map((item) => updateRegistry(at.path, push(item), options))
	await Promise.all([
		...added,
		updateRegistry(at.path, same, options),
		updateRegistry(at.path, async (list) => push('f')(list), options),
		updateRegistry(at.path, push('g'), options),
	])
	assert.equal(at.text(), '#\na\nb\nc\nd\ne\nf\ng')
	for (const read of Object.values(reads)) {
		assert.deepEqual((await read(at.path, options)).registry, [...'abcdefg'])
	}
	assert.deepEqual(at.others(), [])
})

test('the functions of a codec are called as its methods', async (t) => {
	const at = folder(t)
	class Codec {
		#prefix = '# '
		decode(text) {
			return text.slice(this.#prefix.length)
		}
		encode(value) {
			return this.#prefix + value
		}
		empty() {
			return this.#prefix
		}
	}
	const options = { ...LONG, codec: new Codec() }
	await updateRegistry(at.path, (value) => `${value}a`, options)
	assert.equal(at.text(), '# # a')
	assert.equal(readRegistrySync(at.path, options).registry, '# a')
})

test('without a codec, and beside files that have one, a registry is a registry', async (t) => {
	const at = folder(t)
	await updateRegistry(at.path, (registry) => registry, { codec: undefined })
	await updateRegistry(at.path, (registry) => ({ ...registry, updatedAt: 1 }))
	assert.deepEqual(at.json(), { ...EMPTY, updatedAt: 1 })
	await assert.rejects(
		updateRegistry(at.path, () => [], LONG),
		{ code: 'INVALID_VALUE', message: /no registry/ },
	)
	assert.deepEqual(readRegistrySync(at.path, {}).registry, at.json())
})

test('a missing file is the empty value, with a warning; nobody creates it unasked', async (t) => {
	const at = folder(t)
	const options = { ...LONG, codec: { empty: () => 7 } }
	for (const read of Object.values(reads)) {
		const { registry, warnings } = await read(at.path, options)
		assert.equal(registry, 7)
		assert.deepEqual(
			warnings.map(({ code, path }) => ({ code, path })),
			[{ code: 'NOT_FOUND', path: at.path }],
		)
	}
	for (const update of Object.values(updates)) {
		assert.equal(await update(at.path, same, options), 7)
		assert.equal(existsSync(at.path), false)
	}
	await updateRegistry(at.path, (n) => n + 1, options)
	assert.equal(at.text(), '8')
})

const unreadable = {
	'what decode refuses': 'no header',
	'nothing at all': '',
	'bytes that are not UTF-8': Buffer.from([0x23, 0xff]),
	'a byte order mark': '\ufeff#',
}

for (const [what, bytes] of Object.entries(unreadable)) {
	test(`corrupt (${what}): reads as empty with a warning; every write keeps the bytes`, async (t) => {
		const at = folder(t)
		const codec = { ...lines, empty: () => ['new'] }
		at.put(bytes)
		for (const read of Object.values(reads)) {
			const { registry, warnings } = await read(at.path, { codec })
			assert.deepEqual(registry, ['new'])
			assert.deepEqual(
				warnings.map(({ code, path }) => ({ code, path })),
				[{ code: 'CORRUPT', path: at.path }],
			)
			assert.match(warnings[0].message, /is not a readable document \(.+\); reading it as empty/)
		}
		const warned = []
		const options = { ...LONG, codec, onWarning: (warning) => warned.push(warning) }
		for (const update of Object.values(updates)) await update(at.path, same, options)
		assert.deepEqual(readFileSync(at.path), Buffer.from(bytes))
		assert.deepEqual([warned, at.others()], [[], []])

		const add = {
			updateRegistry: () => updateRegistry(at.path, push('a'), options),
			updateRegistrySync: async () => updateRegistrySync(at.path, push('a'), options),
		}
		const all = { ...writes(['new', 'a']), ...add }
		for (const [name, write] of Object.entries(all)) {
			at.put(bytes)
			await write(at.path, options)
			assert.equal(at.text(), '#\nnew\na', name)
			const { code, kept, message } = warned.pop()
			assert.equal(code, 'CORRUPT', name)
			assert.deepEqual(readFileSync(kept), Buffer.from(bytes), name)
			assert.match(message, /was not a readable document \(.+\); it was replaced/)
			assert.equal(warned.length, 0, name)
			unlinkSync(kept)
		}
	})
}

test('bytes that are not UTF-8 are no text, whatever decode would take', async (t) => {
	const at = folder(t)
	const codec = { decode: String, encode: String, empty: () => 'empty' }
	at.put(Buffer.from([0x61, 0xff]))
	assert.equal((await readRegistry(at.path, { codec })).registry, 'empty')
	// A byte order mark is text: whether it may be there is the codec's business.
	at.put('\ufeffa')
	assert.equal((await readRegistry(at.path, { codec })).registry, '\ufeffa')
	await updateRegistry(at.path, (text) => `${text}b`, { ...LONG, codec })
	assert.equal(at.text(), '\ufeffab')
})

test('whatever decode throws is the reason', async (t) => {
	const at = folder(t)
	at.put('text')
	const thrown = [new Error('mine'), 'mine', { message: 'mine' }, undefined, Object.create(null)]
	for (const each of thrown) {
		const decode = () => {
			throw each
		}
		const { warnings } = await readRegistry(at.path, { codec: { decode, empty: () => 0 } })
		assert.equal(warnings[0].code, 'CORRUPT')
		assert.match(warnings[0].message, /\((mine|'mine'|undefined|\[Object: null prototype\] \{\})\)/)
	}
})

/** Documents with a schema version. */
const versioned = {
	decode: (text) => {
		const value = JSON.parse(text)
		if (value.version > 1) throw new RegistryError('UNSUPPORTED_VERSION', 'version 2 of mine')
		return value
	},
	empty: () => ({ version: 1 }),
}

test('a codec whose decode is asynchronous is refused, and its document stays', async (t) => {
	const at = folder(t)
	at.put('{"precious":1}')
	const options = {
		...LONG,
		codec: { decode: async (text) => JSON.parse(text), empty: () => ({}) },
	}
	const refused = { name: 'RegistryError', code: 'INVALID_VALUE' }
	await assert.rejects(
		updateRegistry(at.path, (value) => ({ ...value, seen: 1 }), options),
		refused,
	)
	assert.throws(
		() => updateRegistrySync(at.path, (value) => ({ ...value, seen: 1 }), options),
		refused,
	)
	await assert.rejects(readRegistry(at.path, options), refused)
	assert.equal(at.text(), '{"precious":1}')
	assert.deepEqual(at.others(), [])
})

test('a newer schema, as decode says, reads as empty and refuses updates with that error', async (t) => {
	const at = folder(t)
	const newer = '{"version":2}'
	at.put(newer)
	const error = new RegistryError('UNSUPPORTED_VERSION', 'version 2 of mine')
	const decode = () => {
		throw error
	}
	const options = { ...LONG, codec: { ...versioned, decode } }
	for (const read of Object.values(reads)) {
		const { registry, warnings } = await read(at.path, options)
		assert.deepEqual(registry, { version: 1 })
		assert.equal(warnings.length, 1)
		assert.equal(warnings[0].code, 'UNSUPPORTED_VERSION')
		assert.equal(warnings[0].path, at.path)
		assert.match(warnings[0].message, /version 2 of mine/)
	}
	for (const [name, write] of Object.entries(writes({ version: 1 }))) {
		assert.equal(await caught(write(at.path, options)), error, name)
	}
	assert.equal(at.text(), newer)
	assert.deepEqual(at.others(), [])
	// To another codec of the same batch it is no newer one.
	const settled = await Promise.allSettled([
		updateRegistry(at.path, same, { ...LONG, codec: versioned }),
		updateRegistry(at.path, (value) => ({ ...value, a: 1 }), { ...LONG, codec: lists }),
		updateRegistry(at.path, same, { ...LONG, codec: versioned }),
	])
	assert.deepEqual(
		settled.map(({ reason }) => reason?.code),
		['UNSUPPORTED_VERSION', undefined, 'UNSUPPORTED_VERSION'],
	)
	assert.deepEqual(at.json(), { version: 2, a: 1 })
})

test('a codec may come with the RegistryError of another copy of this package', async (t) => {
	const at = folder(t)
	const { dir } = installPackage(join(at.dir, 'node_modules'))
	const copy = createRequire(join(dir, 'package.json'))('./index.js')
	assert.notEqual(copy.RegistryError, RegistryError)
	at.put('{"version":2}')
	const refused = { code: 'UNSUPPORTED_VERSION' }
	const options = { ...LONG, codec: versioned }
	await assert.rejects(copy.updateRegistry(at.path, same, options), refused)
	// Taken along by the other copy, each is decoded by its own codec.
	at.put('[]')
	const [ofCopy] = await Promise.all([
		copy.updateRegistry(at.path, push('copy'), { ...LONG, codec: lists }),
		updateRegistry(at.path, push('here'), { ...LONG, codec: lists }),
	])
	assert.deepEqual(ofCopy, ['copy'])
	assert.deepEqual(at.json(), ['copy', 'here'])
})
