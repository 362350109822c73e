// Files that are no registries: what a document reads in them.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	Document,
	RegistryError,
	readRegistrySync,
	updateRegistry,
	writeRegistry,
} from '../../index.js'
import {
	documentIn,
	filesOf,
	LOCKS,
	lines,
	lists,
	loaded,
	loads,
	namesIn,
	noLitter,
	push,
	updates,
	writes,
} from '../support/documents.mjs'
import { caught } from '../support/failures.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { installPackage } from '../support/install.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { same } from '../support/updaters.mjs'

const values = {
	'an object': { version: 'none', b: 1, a: { list: [] } },
	'an array': [1, 'two', null],
	'a number': 1e21,
	'a string': 'text with \ud800 alone',
	true: true,
	null: null,
}

/** Checks that the bytes are kept, of which an empty file has none, and removes them. */
const assertKept = (kept, bytes, name) => {
	if (bytes.length === 0) return assert.equal(kept, undefined, name)
	assert.deepEqual(readFileSync(kept), Buffer.from(bytes), name)
	unlinkSync(kept)
}

const unreadable = {
	'what decode refuses': 'no header',
	'nothing at all': '',
	'bytes that are not UTF-8': Buffer.from([0x23, 0xff]),
}

/** Values with a schema version, which decode checks. */
const versioned = {
	decode: (text) => {
		const value = JSON.parse(text)
		if (value.version > 1) throw new RegistryError('UNSUPPORTED_VERSION', 'version 2 of mine')
		return value
	},
	empty: () => ({ version: 1 }),
}

for (const lock of LOCKS) {
	for (const [what, value] of Object.entries(values)) {
		test(`${lock}: a document may be ${what}; it is printed as JSON.stringify would`, async (t) => {
			const at = folder(t)
			const document = documentIn(at, lock, { empty: () => 'nothing yet' })
			for (const [name, write] of Object.entries(writes(value))) {
				await write(document)
				assert.equal(at.text(), print(value), name)
				for (const load of Object.values(loads)) {
					assert.deepEqual(await load(document), loaded(lock, value))
				}
				await document.update((given) => {
					assert.deepEqual(given, value)
					return 'something else'
				}, DOCUMENT_UP_TO_A_MINUTE)
			}
			noLitter(at, lock)
		})
	}

	test(`${lock}: a document need not be JSON, in no step of any call`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, lines)
		for (const [name, write] of Object.entries(writes(['a', 'b']))) {
			at.put('# comment\nold')
			await write(document)
			assert.equal(at.text(), '#\na\nb', name)
		}
		const added = ['c', 'd', 'e'].map((item) =>
			document.update(push(item), DOCUMENT_UP_TO_A_MINUTE),
		)
		await Promise.all([
			...added,
			document.update(same, DOCUMENT_UP_TO_A_MINUTE),
			document.update(async (list) => push('f')(list), DOCUMENT_UP_TO_A_MINUTE),
			document.update(push('g'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.equal(at.text(), '#\na\nb\nc\nd\ne\nf\ng')
		for (const load of Object.values(loads)) {
			assert.deepEqual(await load(document), loaded(lock, [...'abcdefg']))
		}
		noLitter(at, lock)
	})

	test(`${lock}: the functions of the options are called as methods of that object`, async (t) => {
		const at = folder(t)
		class Options {
			#prefix = '# '
			lock = lock
			durable = false
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
		const document = new Document(at.path, new Options())
		await document.update((value) => `${value}a`)
		assert.equal(at.text(), '# # a')
		assert.equal(document.loadSync().value, '# a')
	})

	test(`${lock}: a missing file is not found; an update starts from the empty value and creates no file unasked`, async (t) => {
		const at = folder(t)
		const missing = { name: 'RegistryError', code: 'NOT_FOUND', path: at.path }
		const document = documentIn(at, lock, { empty: () => 7 })
		for (const load of Object.values(loads)) await assert.rejects(load(document), missing)
		assert.deepEqual(namesIn(at), [])
		for (const update of Object.values(updates)) {
			assert.equal(await update(document, same), 7)
			assert.equal(existsSync(at.path), false)
		}
		await document.update((n) => n + 1, DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(at.text(), '8')
	})

	test(`${lock}: without an empty value, an update of a missing file makes nothing, and a save makes the file`, async (t) => {
		const at = folder(t)
		const document = new Document(at.path, { lock, durable: false })
		const missing = { name: 'RegistryError', code: 'NOT_FOUND', path: at.path }
		const fail = () => assert.fail('the updater runs')
		for (const update of Object.values(updates)) {
			await assert.rejects(update(document, fail), missing)
			assert.deepEqual(namesIn(at), [])
		}
		for (const load of Object.values(loads)) await assert.rejects(load(document), missing)
		assert.deepEqual(namesIn(at), [])
		await document.save([])
		for (const update of Object.values(updates)) await update(document, push('a'))
		assert.deepEqual(at.json(), ['a', 'a'])
		// The file is deleted when its lock is there already.
		unlinkSync(at.path)
		for (const update of Object.values(updates)) {
			await assert.rejects(update(document, fail), missing)
		}
		assert.equal(existsSync(at.path), false)
	})

	for (const [what, bytes] of Object.entries(unreadable)) {
		test(`${lock}: corrupt (${what}): a load is refused; every write that keeps it keeps the bytes`, async (t) => {
			const at = folder(t)
			at.put(bytes)
			const warned = []
			const onWarning = (warning) => warned.push(warning)
			const document = documentIn(at, lock, { ...lines, empty: () => ['new'], onWarning })
			for (const load of Object.values(loads)) {
				const error = await caught(load(document))
				assert.ok(error instanceof RegistryError)
				assert.deepEqual([error.code, error.path], ['PARSE', at.path])
				assert.match(error.message, /can't be parsed: .+; repair it or move it away/)
			}
			for (const update of Object.values(updates)) await update(document, same)
			assert.deepEqual(readFileSync(at.path), Buffer.from(bytes))
			assert.deepEqual(warned, [])
			noLitter(at, lock)

			const add = {
				'update of it': () => document.update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
				'updateSync of it': async () => document.updateSync(push('a'), DOCUMENT_UP_TO_A_MINUTE),
			}
			const all = { ...writes(['new', 'a']), ...add }
			for (const [name, write] of Object.entries(all)) {
				at.put(bytes)
				await write(document)
				assert.equal(at.text(), '#\nnew\na', name)
				const { code, path, kept, message } = warned.pop()
				assert.deepEqual([code, path], ['CORRUPT', at.path], name)
				assertKept(kept, bytes, name)
				const what = bytes.length > 0 ? ' \\(.+\\)' : ', because it was empty'
				assert.match(message, new RegExp(`was not a readable document${what}; it was replaced`))
				assert.equal(warned.length, 0, name)
			}
			noLitter(at, lock)
		})

		test(`${lock}: corrupt (${what}): by default an update is refused, and only a save or a write replaces it`, async (t) => {
			const at = folder(t)
			at.put(bytes)
			const warned = []
			const onWarning = (warning) => warned.push(warning)
			for (const onCorrupt of [undefined, 'fail']) {
				const document = documentIn(at, lock, { ...lines, onCorrupt, onWarning })
				for (const [name, update] of Object.entries(updates)) {
					const fail = () => assert.fail('the updater runs')
					const error = await caught(update(document, fail))
					assert.ok(error instanceof RegistryError, name)
					assert.deepEqual([error.code, error.path], ['PARSE', at.path], name)
					assert.match(error.message, /can't be parsed: .+; repair it or move it away/)
				}
			}
			assert.deepEqual(readFileSync(at.path), Buffer.from(bytes))
			assert.deepEqual(warned, [])
			noLitter(at, lock)
			const document = new Document(at.path, { ...lines, lock, onWarning })
			const { save, withLock } = writes(['a'])
			for (const [name, write] of Object.entries({ save, withLock })) {
				at.put(bytes)
				await write(document)
				assert.equal(at.text(), '#\na', name)
				const { code, kept } = warned.pop()
				assert.equal(code, 'CORRUPT', name)
				assertKept(kept, bytes, name)
			}
			assert.deepEqual(warned, [])
		})
	}

	test(`${lock}: bytes that are not UTF-8 are no text, whatever decode would take`, async (t) => {
		const at = folder(t)
		const strings = { decode: String, encode: String, empty: () => 'empty' }
		const document = documentIn(at, lock, strings)
		at.put(Buffer.from([0x61, 0xff]))
		const refused = { code: 'PARSE', message: /its bytes are not UTF-8/ }
		await assert.rejects(document.load(), refused)
		assert.throws(() => document.loadSync(), refused)
		// A byte order mark is no part of the text that decode gets, and stays in the file.
		at.put('\ufeffa')
		assert.equal((await document.load()).value, 'a')
		await document.update((text) => `${text}b`, DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(at.text(), '\ufeffab')
	})

	test(`${lock}: whatever decode throws is the reason`, async (t) => {
		const at = folder(t)
		at.put('text')
		const thrown = [new Error('mine'), 'mine', { message: 'mine' }, undefined, Object.create(null)]
		for (const each of thrown) {
			const decode = () => {
				throw each
			}
			const document = new Document(at.path, { lock, decode, empty: () => 0 })
			for (const call of [() => document.load(), () => document.update(same)]) {
				const { name, code, message } = await caught(call())
				assert.deepEqual([name, code], ['RegistryError', 'PARSE'])
				assert.match(message, /: (mine|'mine'|undefined|\[Object: null prototype\] \{\});/)
			}
		}
	})

	test(`${lock}: a decode that is asynchronous is refused, and its document stays`, async (t) => {
		const at = folder(t)
		at.put('{"precious":1}')
		const decode = async (text) => JSON.parse(text)
		const document = documentIn(at, lock, { decode, empty: () => ({}) })
		const refused = { name: 'RegistryError', code: 'INVALID_VALUE', path: at.path }
		const see = (value) => ({ ...value, seen: 1 })
		for (const update of Object.values(updates)) {
			await assert.rejects(update(document, see), refused)
		}
		for (const load of Object.values(loads)) await assert.rejects(load(document), refused)
		await assert.rejects(document.save({}), refused)
		assert.equal(at.text(), '{"precious":1}')
		noLitter(at, lock)
	})

	test(`${lock}: another schema, as decode says, refuses every call with that very error`, async (t) => {
		const at = folder(t)
		const newer = '{"version":2}'
		at.put(newer)
		const error = new RegistryError('UNSUPPORTED_VERSION', 'version 2 of mine')
		const decode = () => {
			throw error
		}
		const document = documentIn(at, lock, { ...versioned, decode })
		for (const load of Object.values(loads)) assert.equal(await caught(load(document)), error)
		for (const [name, write] of Object.entries(writes({ version: 1 }))) {
			assert.equal(await caught(write(document)), error, name)
		}
		assert.equal(at.text(), newer)
		noLitter(at, lock)
		// To another document of the same batch it is no newer one.
		const checked = documentIn(at, lock, versioned)
		const settled = await Promise.allSettled([
			checked.update(same, DOCUMENT_UP_TO_A_MINUTE),
			documentIn(at, lock, lists).update((value) => ({ ...value, a: 1 }), DOCUMENT_UP_TO_A_MINUTE),
			checked.update(same, DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(
			settled.map(({ reason }) => reason?.code),
			['UNSUPPORTED_VERSION', undefined, 'UNSUPPORTED_VERSION'],
		)
		assert.deepEqual(at.json(), { version: 2, a: 1 })
	})

	test(`${lock}: decode may throw the RegistryError of another copy of this package`, async (t) => {
		const at = folder(t)
		const { dir } = installPackage(join(at.dir, 'node_modules'))
		const copy = createRequire(join(dir, 'package.json'))('./index.js')
		assert.notEqual(copy.RegistryError, RegistryError)
		assert.notEqual(copy.Document, Document)
		at.put('{"version":2}')
		const refused = { code: 'UNSUPPORTED_VERSION' }
		const options = { lock, durable: false }
		const checked = new copy.Document(at.path, { ...options, ...versioned })
		await assert.rejects(checked.update(same, DOCUMENT_UP_TO_A_MINUTE), refused)
		// Each copy runs its own updates, and each document decodes by its own options.
		at.put('[]')
		const [ofCopy] = await Promise.all([
			new copy.Document(at.path, { ...options, ...lists }).update(
				push('copy'),
				DOCUMENT_UP_TO_A_MINUTE,
			),
			new Document(at.path, { ...options, ...lists }).update(push('here'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(ofCopy, ['copy'])
		assert.deepEqual(at.json(), ['copy', 'here'])
	})
}

test('beside a document, and under the lock that a document has on it, a registry is a registry', async (t) => {
	const at = folder(t)
	const beside = new Document(join(at.dir, 'settings.json'), lists)
	await beside.update(push('a'))
	await updateRegistry(at.path, (registry) => registry, {})
	await updateRegistry(at.path, (registry) => ({ ...registry, updatedAt: 1 }))
	assert.deepEqual(at.json(), { ...EMPTY, updatedAt: 1 })
	await assert.rejects(
		updateRegistry(at.path, () => [], DOCUMENT_UP_TO_A_MINUTE),
		{ code: 'INVALID_VALUE', message: /no registry/ },
	)
	assert.deepEqual(readRegistrySync(at.path).registry, at.json())
	// In one batch, each with what its own reading makes of the file.
	const asDocument = documentIn(at, 'registry', { empty: () => assert.fail('it is there') })
	await Promise.all([
		updateRegistry(at.path, (registry) => ({ ...registry, updatedAt: 2 }), DOCUMENT_UP_TO_A_MINUTE),
		asDocument.update((value) => ({ ...value, more: value.updatedAt }), DOCUMENT_UP_TO_A_MINUTE),
		updateRegistry(
			at.path,
			(registry) => ({ ...registry, updatedAt: registry.more + 1 }),
			DOCUMENT_UP_TO_A_MINUTE,
		),
	])
	assert.deepEqual(at.json(), { ...EMPTY, updatedAt: 3, more: 2 })
	// A document replaces what no registry may be replaced by, and a registry call keeps that.
	await asDocument.save(['no registry'])
	const warned = []
	await writeRegistry(at.path, EMPTY, { onWarning: (warning) => warned.push(warning) })
	assert.deepEqual(JSON.parse(readFileSync(warned[0].kept, 'utf8')), ['no registry'])
	assert.deepEqual(at.json(), EMPTY)
	assert.equal(warned.length, 1)
	unlinkSync(warned[0].kept)
	assert.deepEqual(namesIn(at), [...filesOf(at, 'registry'), 'settings.json', 'settings.lock'])
})
