// Documents: what their format reads in a file.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { RegistryError, readRegistrySync, updateRegistry } from '../../index.js'
import {
	caught,
	documentAt,
	lines,
	lists,
	loads,
	PATIENT,
	push,
	same,
	updates,
	writes,
} from '../support/documents.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { installPackage } from '../support/install.mjs'

const values = {
	'an object': { version: 'none', b: 1, a: { list: [] } },
	'an array': [1, 'two', null],
	'a number': 1e21,
	'a string': 'text with \ud800 alone',
	true: true,
	null: null,
}

for (const [what, value] of Object.entries(values)) {
	test(`a document may be ${what}; it is printed as JSON.stringify would`, async (t) => {
		const at = folder(t)
		const document = documentAt(at, { empty: () => 'nothing yet' })
		for (const [name, write] of Object.entries(writes(value))) {
			await write(document)
			assert.equal(at.text(), print(value), name)
			for (const load of Object.values(loads)) {
				assert.deepEqual(await load(document), { value, locked: false })
			}
			await document.update((given) => {
				assert.deepEqual(given, value)
				return 'something else'
			}, PATIENT)
		}
		assert.deepEqual(at.others(), [])
	})
}

test('a document need not be JSON, in no step of any call', async (t) => {
	const at = folder(t)
	const document = documentAt(at, lines)
	for (const [name, write] of Object.entries(writes(['a', 'b']))) {
		at.put('# comment\nold')
		await write(document)
		assert.equal(at.text(), '#\na\nb', name)
	}
	const added = ['c', 'd', 'e'].map((item) => document.update(push(item), PATIENT))
	await Promise.all([
		...added,
		document.update(same, PATIENT),
		document.update(async (list) => push('f')(list), PATIENT),
		document.update(push('g'), PATIENT),
	])
	assert.equal(at.text(), '#\na\nb\nc\nd\ne\nf\ng')
	for (const load of Object.values(loads)) {
		assert.deepEqual((await load(document)).value, [...'abcdefg'])
	}
	assert.deepEqual(at.others(), [])
})

test('the functions of a format are called as methods of the options', async (t) => {
	const at = folder(t)
	class Options {
		lock = 'registry'
		durable = false
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
	const { Document } = createRequire(import.meta.url)('../../index.js')
	const document = new Document(at.path, new Options())
	await document.update((value) => `${value}a`, PATIENT)
	assert.equal(at.text(), '# # a')
	assert.equal(document.loadSync(PATIENT).value, '# a')
})

test('beside files that are documents, a registry is a registry', async (t) => {
	const at = folder(t)
	await updateRegistry(at.path, (registry) => registry)
	await updateRegistry(at.path, (registry) => ({ ...registry, updatedAt: 1 }))
	assert.deepEqual(at.json(), { ...EMPTY, updatedAt: 1 })
	await assert.rejects(
		updateRegistry(at.path, () => [], PATIENT),
		{ code: 'INVALID_VALUE', message: /no registry/ },
	)
	assert.deepEqual(readRegistrySync(at.path).registry, at.json())
})

test('an update of a missing file starts from the empty value; a load of it is NOT_FOUND', async (t) => {
	const at = folder(t)
	const document = documentAt(at, { empty: () => 7 })
	for (const load of Object.values(loads)) {
		const { code, path } = await caught(load(document))
		assert.deepEqual({ code, path }, { code: 'NOT_FOUND', path: at.path })
	}
	for (const update of Object.values(updates)) {
		assert.equal(await update(document, same), 7)
		assert.equal(existsSync(at.path), false)
	}
	await document.update((n) => n + 1, PATIENT)
	assert.equal(at.text(), '8')
})

test('without an empty value an update of a missing file is NOT_FOUND, and makes none', async (t) => {
	const at = folder(t)
	const document = documentAt(at, {})
	for (const update of Object.values(updates)) {
		const { code, path } = await caught(update(document, () => 1))
		assert.deepEqual({ code, path }, { code: 'NOT_FOUND', path: at.path })
	}
	assert.equal(existsSync(at.path), false)
	await document.save(1, PATIENT)
	await document.update((n) => n + 1, PATIENT)
	assert.equal(at.text(), '2')
})

const unreadable = {
	'what decode refuses': 'no header',
	'nothing at all': '',
	'bytes that are not UTF-8': Buffer.from([0x23, 0xff]),
	'a byte order mark': '\ufeff#',
}

for (const [what, bytes] of Object.entries(unreadable)) {
	test(`corrupt (${what}): a load is PARSE; with onCorrupt 'keep' every write keeps the bytes`, async (t) => {
		const at = folder(t)
		at.put(bytes)
		const warned = []
		const document = documentAt(
			at,
			{ ...lines, empty: () => ['new'] },
			{ onWarning: (warning) => warned.push(warning) },
		)
		for (const load of Object.values(loads)) {
			const { code, path, message } = await caught(load(document))
			assert.deepEqual({ code, path }, { code: 'PARSE', path: at.path })
			assert.match(message, /can't be parsed: .+; repair it or move it away/)
		}
		for (const update of Object.values(updates)) {
			assert.deepEqual(await update(document, same), ['new'])
		}
		assert.deepEqual(readFileSync(at.path), Buffer.from(bytes))
		assert.deepEqual([warned, at.others()], [[], []])

		const add = {
			'update of the empty value': () => document.update(push('a'), PATIENT),
			'updateSync of the empty value': async () => document.updateSync(push('a'), PATIENT),
		}
		const all = { ...writes(['new', 'a']), ...add }
		for (const [name, write] of Object.entries(all)) {
			at.put(bytes)
			await write(document)
			assert.equal(at.text(), '#\nnew\na', name)
			const { code, kept, message } = warned.pop()
			assert.equal(code, 'CORRUPT', name)
			assert.deepEqual(readFileSync(kept), Buffer.from(bytes), name)
			assert.match(message, /was not a readable document \(.+\); it was replaced/)
			assert.equal(warned.length, 0, name)
			unlinkSync(kept)
		}
	})

	test(`corrupt (${what}): by default an update is refused; a save keeps the bytes`, async (t) => {
		const at = folder(t)
		at.put(bytes)
		const warned = []
		const document = documentAt(at, lines, {
			onCorrupt: 'fail',
			onWarning: (warning) => warned.push(warning),
		})
		for (const update of Object.values(updates)) {
			const { code, path } = await caught(update(document, push('a')))
			assert.deepEqual({ code, path }, { code: 'PARSE', path: at.path })
		}
		assert.deepEqual(readFileSync(at.path), Buffer.from(bytes))
		assert.deepEqual([warned, at.others()], [[], []])
		await document.save(['a'], PATIENT)
		assert.equal(at.text(), '#\na')
		assert.deepEqual(
			warned.map(({ code, kept }) => [code, readFileSync(kept)]),
			[['CORRUPT', Buffer.from(bytes)]],
		)
	})
}

test('bytes that are not UTF-8 are no text, whatever decode would take', async (t) => {
	const at = folder(t)
	const document = documentAt(at, { decode: String, encode: String, empty: () => 'empty' })
	at.put(Buffer.from([0x61, 0xff]))
	await assert.rejects(document.load(PATIENT), { code: 'PARSE', message: /not UTF-8/ })
	// A byte order mark is text: whether it may be there is the format's business.
	at.put('\ufeffa')
	assert.equal((await document.load(PATIENT)).value, '\ufeffa')
	await document.update((text) => `${text}b`, PATIENT)
	assert.equal(at.text(), '\ufeffab')
})

test('the reason of a PARSE error is what decode throws, whatever that is', async (t) => {
	const at = folder(t)
	at.put('text')
	const thrown = [new Error('mine'), 'mine', { message: 'mine' }, undefined, Object.create(null)]
	for (const each of thrown) {
		const decode = () => {
			throw each
		}
		const { code, message } = await caught(documentAt(at, { decode }).load(PATIENT))
		assert.equal(code, 'PARSE')
		assert.match(message, /: (mine|'mine'|undefined|\[Object: null prototype\] \{\});/)
	}
})

/** Documents whose decode looks for a newer schema. */
const versioned = {
	decode: (text) => {
		const value = JSON.parse(text)
		if (value.version > 1) throw new RegistryError('UNSUPPORTED_VERSION', 'version 2 of mine')
		return value
	},
	empty: () => ({ version: 1 }),
}

test('a decode that is asynchronous is refused, and the document stays', async (t) => {
	const at = folder(t)
	at.put('{"precious":1}')
	const document = documentAt(at, { decode: async (text) => JSON.parse(text), empty: () => ({}) })
	const refused = { name: 'RegistryError', code: 'INVALID_VALUE' }
	const see = (value) => ({ ...value, seen: 1 })
	await assert.rejects(document.update(see, PATIENT), refused)
	assert.throws(() => document.updateSync(see, PATIENT), refused)
	await assert.rejects(document.load(PATIENT), refused)
	assert.equal(at.text(), '{"precious":1}')
	assert.deepEqual(at.others(), [])
})

test('a newer schema, as decode says, refuses every call with that very error', async (t) => {
	const at = folder(t)
	const newer = '{"version":2}'
	at.put(newer)
	const error = new RegistryError('UNSUPPORTED_VERSION', 'version 2 of mine')
	const decode = () => {
		throw error
	}
	const document = documentAt(at, { ...versioned, decode })
	for (const [name, call] of Object.entries({ ...loads, ...writes({ version: 1 }) })) {
		assert.equal(await caught(call(document)), error, name)
	}
	assert.equal(at.text(), newer)
	assert.deepEqual(at.others(), [])
	// For another format in the same batch it is no newer one.
	const settled = await Promise.allSettled([
		documentAt(at, versioned).update(same, PATIENT),
		documentAt(at, lists).update((value) => ({ ...value, a: 1 }), PATIENT),
		documentAt(at, versioned).update(same, PATIENT),
	])
	assert.deepEqual(
		settled.map(({ reason }) => reason?.code),
		['UNSUPPORTED_VERSION', undefined, 'UNSUPPORTED_VERSION'],
	)
	assert.deepEqual(at.json(), { version: 2, a: 1 })
})

test('the schema version of a document: another one is refused, a newer one is not replaced', async (t) => {
	const at = folder(t)
	const document = documentAt(at, { version: 2, empty: () => ({}) })
	const refused = { code: 'UNSUPPORTED_VERSION', path: at.path }
	for (const version of [1, 3, '2', null]) {
		at.put(print({ version }))
		for (const call of Object.values({ ...loads, ...updates })) {
			await assert.rejects(call(document, same), refused, String(version))
		}
		if (version === 1) continue
		await assert.rejects(document.save({}, PATIENT), refused, String(version))
		assert.deepEqual(at.json(), { version })
	}
	// An older one may be replaced, as a whole.
	at.put(print({ version: 1 }))
	await document.save({ version: 2, a: 1 }, PATIENT)
	for (const value of [{ version: 2, a: 1 }, { a: 1 }, [1]]) {
		at.put(print(value))
		assert.deepEqual(document.loadSync(PATIENT).value, value)
	}
	for (const [name, write] of Object.entries(writes({ version: 1 }))) {
		assert.equal((await caught(write(document))).code, 'INVALID_VALUE', name)
	}
	assert.deepEqual(at.json(), [1])
})

test('a decode may throw the RegistryError of another copy of this package', async (t) => {
	const at = folder(t)
	const { dir } = installPackage(join(at.dir, 'node_modules'))
	const copy = createRequire(join(dir, 'package.json'))('./index.js')
	assert.notEqual(copy.RegistryError, RegistryError)
	const documentOfCopy = (format) =>
		new copy.Document(at.path, { lock: 'registry', durable: false, ...format })
	at.put('{"version":2}')
	const refused = { code: 'UNSUPPORTED_VERSION' }
	await assert.rejects(documentOfCopy(versioned).update(same, PATIENT), refused)
	// Queued behind the other copy's, each is decoded by its own copy.
	at.put('[]')
	const [ofCopy] = await Promise.all([
		documentOfCopy(lists).update(push('copy'), PATIENT),
		documentAt(at, lists).update(push('here'), PATIENT),
	])
	assert.deepEqual(ofCopy, ['copy'])
	assert.deepEqual(at.json(), ['copy', 'here'])
})
