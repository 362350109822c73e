// Documents: what their format writes to a file, and what it can't write.

import assert from 'node:assert/strict'
import { existsSync, statSync, unlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Document, RegistryError } from '../../index.js'
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
import { folder, print } from '../support/folder.mjs'

const unencodable = {
	'an encode that throws': { encode: () => assert.fail('mine') },
	'an encode that returns no string': { encode: () => Buffer.from('text') },
	'an encode that returns a promise': { encode: async () => 'text' },
	'an encode that returns half a surrogate pair': { encode: () => 'x\udc00' },
	undefined: { value: undefined },
	'a function': { value: () => {} },
	'a cycle': { value: Object.defineProperty({}, 'self', { enumerable: true, get: () => 1n }) },
}

for (const [what, { encode, value = ['b'] }] of Object.entries(unencodable)) {
	test(`a value that has no text (${what}) is INVALID_VALUE, and nothing is written`, async (t) => {
		const at = folder(t)
		at.put(print(['a']))
		const next = what === 'undefined' ? undefined : value
		const document = documentAt(at, { ...lists, ...(encode && { encode }) })
		for (const [name, write] of Object.entries(writes(next))) {
			const error = await caught(write(document))
			assert.ok(error instanceof RegistryError, name)
			assert.deepEqual([error.code, error.path], ['INVALID_VALUE', at.path], name)
			const isThrown = what.endsWith('throws') || what === 'a cycle'
			assert.equal(error.cause instanceof Error, isThrown, name)
		}
		assert.equal(at.text(), print(['a']))
		assert.deepEqual(at.others(), [])
		await documentAt(at, lists).update(same, { timeoutMs: 0 })
	})
}

test('an error that encode throws is the cause, and the other updates of the batch are unaffected', async (t) => {
	const at = folder(t)
	const mine = new Error('mine')
	const encode = (list) => {
		if (list.includes('bad')) throw mine
		return JSON.stringify(list)
	}
	const document = documentAt(at, { ...lists, encode })
	const settled = await Promise.allSettled([
		document.update(push('a'), PATIENT),
		document.update((list) => list.concat('bad'), PATIENT),
		document.update((list) => {
			list.push('bad')
			return list
		}, PATIENT),
		document.update(push('b'), PATIENT),
	])
	assert.deepEqual(
		settled.map(({ reason }) => reason?.code),
		[undefined, 'INVALID_VALUE', 'INVALID_VALUE', undefined],
	)
	assert.equal(settled[1].reason.cause, mine)
	assert.match(settled[1].reason.message, /can't be encoded: mine/)
	assert.equal(at.text(), '["a","b"]')
})

test('an error that empty throws is passed to its caller as it is, and to no other', async (t) => {
	const at = folder(t)
	const mine = new TypeError('mine')
	const document = documentAt(at, {
		empty: () => {
			throw mine
		},
	})
	for (const update of Object.values(updates)) {
		assert.equal(await caught(update(document, same)), mine)
	}
	const watch = document.watch()
	assert.equal(await caught(watch.next()), mine)
	const settled = await Promise.allSettled([
		document.update(same, PATIENT),
		documentAt(at, lists).update(push('a'), PATIENT),
		// Not missing any more.
		document.update(push('b'), PATIENT),
	])
	assert.deepEqual(
		settled.map(({ reason }) => reason),
		[mine, undefined, undefined],
	)
	assert.deepEqual(at.json(), ['a', 'b'])
	// A call that writes a value needs no empty one.
	unlinkSync(at.path)
	await document.save(['c'], PATIENT)
	assert.deepEqual(at.json(), ['c'])
})

test('an empty value need not have a text', async (t) => {
	const at = folder(t)
	const document = documentAt(at, { empty: () => undefined })
	await assert.rejects(document.update(same, PATIENT), { code: 'INVALID_VALUE' })
	const given = []
	await document.update((value) => {
		given.push(value)
		return { first: true }
	}, PATIENT)
	assert.deepEqual([given, at.json()], [[undefined], { first: true }])
})

const badOptions = {
	options: [null, 'json', () => {}],
	empty: [null, [], 0],
	decode: [null, 'utf8'],
	encode: [null, 'utf8'],
	lock: [null, 'guard', 1],
	lockFile: [null, 1, '', 'a\0b'],
	version: [null, -1, 1.5, '1', 2 ** 32],
	onCorrupt: [null, 'empty'],
	newFileMode: [null, -1, 0o1000, '644'],
	durable: [null, 1],
	onWarning: [null, 'warn'],
}

for (const [name, bad] of Object.entries(badOptions)) {
	test(`bad options of a document (${name}) are INVALID_VALUE, and nothing is made`, (t) => {
		const at = folder(t)
		for (const value of bad) {
			const options = name === 'options' ? value : { ...lists, [name]: value }
			const refused = {
				name: 'RegistryError',
				code: 'INVALID_VALUE',
				message: new RegExp(name),
			}
			assert.throws(() => new Document(at.path, options), refused)
		}
		assert.equal(existsSync(at.guard), false)
	})
}

test('a lock file has no meaning with the registry’s lock', (t) => {
	const at = folder(t)
	const options = { lock: 'registry', lockFile: `${at.path}.other` }
	const refused = { code: 'INVALID_VALUE', message: /lockFile has no meaning/ }
	assert.throws(() => new Document(at.path, options), refused)
})

test('bad options of a call on a document are INVALID_VALUE, and nothing is locked', async (t) => {
	const at = folder(t)
	at.put('[]')
	const document = documentAt(at, lists)
	const calls = {
		load: (options) => document.load(options),
		loadSync: async (options) => document.loadSync(options),
		save: (options) => document.save([], options),
		update: (options) => document.update(same, options),
		updateSync: async (options) => document.updateSync(same, options),
		withLock: (options) => document.withLock(() => {}, options),
	}
	const bad = [null, 'options', { timeoutMs: -1 }, { staleMs: '1' }, { signal: {} }]
	for (const [name, call] of Object.entries(calls)) {
		for (const options of bad) {
			await assert.rejects(call(options), { code: 'INVALID_VALUE' }, name)
		}
	}
	for (const call of ['update', 'withLock']) {
		await assert.rejects(document[call]('no function'), { code: 'INVALID_VALUE' })
	}
	assert.throws(() => document.updateSync('no function'), { code: 'INVALID_VALUE' })
	assert.equal(existsSync(at.guard), false)
	await Promise.all(Object.values(loads).map((load) => load(document)))
})

/** Whether a call leaves the very file that is there. */
const leaves = async (at, call) => {
	const before = statSync(at.path, { bigint: true })
	await call()
	const after = statSync(at.path, { bigint: true })
	return after.ino === before.ino && after.mtimeNs === before.mtimeNs
}

for (const [name, update] of Object.entries(updates)) {
	test(`${name}: unchanged writes nothing, in whatever layout; changed in place is written`, async (t) => {
		const at = folder(t)
		const run = (updater, format) => () => update(documentAt(at, format), updater)
		at.put('[ 1.50,\n2 ]')
		assert.equal(await leaves(at, run(same, lists)), true)
		const addInPlace = (list) => {
			list.push(3)
			return list
		}
		assert.equal(await leaves(at, run(addInPlace, lists)), false)
		assert.equal(at.text(), print([1.5, 2, 3]))
		// Another object is written, as in a registry, even if its text is equal.
		const copy = (list) => [...list]
		assert.equal(await leaves(at, run(copy, lists)), false)
		// Comments are lost when something is written, and only then.
		at.put('# why\na')
		assert.equal(await leaves(at, run(same, lines)), true)
		assert.equal(await leaves(at, run(push('b'), lines)), false)
		assert.equal(at.text(), '#\na\nb')
	})

	test(`${name}: a primitive is unchanged if its text is`, async (t) => {
		const at = folder(t)
		const run = (next, format) => () => update(documentAt(at, format), () => next)
		const number = { empty: () => 0 }
		at.put('1.50')
		assert.equal(await leaves(at, run(1.5, number)), true)
		assert.equal(await leaves(at, run(2, number)), false)
		assert.equal(at.text(), '2')
		// What is given and what is returned differ, and their text does not.
		const rounded = { decode: Number, encode: (value) => value.toFixed(0), empty: () => 0 }
		assert.equal(await leaves(at, run(2.2, rounded)), true)
		const notANumber = { decode: Number, encode: String, empty: () => 0 }
		at.put('NaN')
		assert.equal(await leaves(at, run(Number.NaN, notANumber)), true)
		// They are equal, and their text differs.
		at.put('0')
		const signed = {
			decode: Number,
			encode: (n) => (Object.is(n, -0) ? '-0' : `${n}`),
			empty: () => 0,
		}
		assert.equal(await leaves(at, run(-0, signed)), false)
		assert.equal(at.text(), '-0')
	})
}

test('a value that a format can read but not print can still be put right', async (t) => {
	const at = folder(t)
	const document = documentAt(at, {
		decode: (text) => ({ n: text.endsWith('n') ? BigInt(text.slice(0, -1)) : JSON.parse(text) }),
		encode: ({ n }) => JSON.stringify(n),
		empty: () => ({ n: 0 }),
	})
	at.put('7n')
	await document.update((value) => Object.assign(value, { n: Number(value.n) }), PATIENT)
	assert.equal(at.text(), '7')
})
