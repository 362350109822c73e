// Files that are no registries: what a document writes to them, and what it can't write.

import assert from 'node:assert/strict'
import { existsSync, statSync, unlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Document, RegistryError } from '../../index.js'
import {
	documentIn,
	LOCKS,
	lines,
	lists,
	loads,
	namesIn,
	noLitter,
	push,
	updates,
	writes,
} from '../support/documents.mjs'
import { caught } from '../support/failures.mjs'
import { folder, print } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { same } from '../support/updaters.mjs'

const unencodable = {
	'an encode that throws': { encode: () => assert.fail('mine') },
	'an encode that returns no string': { encode: () => Buffer.from('text') },
	'an encode that returns a promise': { encode: async () => 'text' },
	'an encode that returns half a surrogate pair': { encode: () => 'x\udc00' },
	undefined: { value: undefined },
	'a function': { value: () => {} },
	'a cycle': { value: Object.defineProperty({}, 'self', { enumerable: true, get: () => 1n }) },
}

const badOptions = {
	null: null,
	'a string': 'json',
	'a function': Object.assign(() => {}, { empty: () => [] }),
	'empty is no function': { empty: [] },
	'decode is no function': { ...lists, decode: null },
	'encode is no function': { ...lists, encode: 'utf8' },
}

/** Whether a call leaves the very file that is there. */
const leaves = async (at, call) => {
	const before = statSync(at.path, { bigint: true })
	await call()
	const after = statSync(at.path, { bigint: true })
	return after.ino === before.ino && after.mtimeNs === before.mtimeNs
}

for (const lock of LOCKS) {
	for (const [what, { encode, value = ['b'] }] of Object.entries(unencodable)) {
		test(`${lock}: a value that has no text (${what}) is INVALID_VALUE, and nothing is written`, async (t) => {
			const at = folder(t)
			at.put(print(['a']))
			const next = what === 'undefined' ? undefined : value
			const document = documentIn(at, lock, { ...lists, ...(encode && { encode }) })
			for (const [name, write] of Object.entries(writes(next))) {
				const error = await caught(write(document))
				assert.ok(error instanceof RegistryError, name)
				assert.deepEqual([error.code, error.path], ['INVALID_VALUE', at.path], name)
				const isThrown = what.endsWith('throws') || what === 'a cycle'
				assert.equal(error.cause instanceof Error, isThrown, name)
			}
			assert.equal(at.text(), print(['a']))
			noLitter(at, lock)
			await documentIn(at, lock, lists).update(same, { timeoutMs: 0 })
		})
	}

	test(`${lock}: what encode throws is the cause, and the others of the batch are unaffected`, async (t) => {
		const at = folder(t)
		const mine = new Error('mine')
		const encode = (list) => {
			if (list.includes('bad')) throw mine
			return JSON.stringify(list)
		}
		const document = documentIn(at, lock, { ...lists, encode })
		const pushInPlace = (list) => {
			list.push('bad')
			return list
		}
		const settled = await Promise.allSettled([
			document.update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
			document.update((list) => list.concat('bad'), DOCUMENT_UP_TO_A_MINUTE),
			document.update(pushInPlace, DOCUMENT_UP_TO_A_MINUTE),
			document.update(push('b'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(
			settled.map(({ reason }) => reason?.code),
			[undefined, 'INVALID_VALUE', 'INVALID_VALUE', undefined],
		)
		assert.equal(settled[1].reason.cause, mine)
		assert.match(settled[1].reason.message, /can't be encoded: mine/)
		assert.equal(at.text(), '["a","b"]')
	})

	test(`${lock}: what empty throws goes to its caller, as it is, and to no other`, async (t) => {
		const at = folder(t)
		const mine = new TypeError('mine')
		const empty = () => {
			throw mine
		}
		const document = documentIn(at, lock, { empty })
		for (const update of Object.values(updates)) {
			assert.equal(await caught(update(document, same)), mine)
		}
		// A load starts from nothing else than the file.
		for (const load of Object.values(loads)) {
			await assert.rejects(load(document), { code: 'NOT_FOUND' })
		}
		const settled = await Promise.allSettled([
			document.update(same, DOCUMENT_UP_TO_A_MINUTE),
			documentIn(at, lock, lists).update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
			// Not missing any more.
			document.update(push('b'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(
			settled.map(({ reason }) => reason),
			[mine, undefined, undefined],
		)
		assert.deepEqual(at.json(), ['a', 'b'])
		// A call that writes a value needs no empty one.
		unlinkSync(at.path)
		await document.save(['c'], DOCUMENT_UP_TO_A_MINUTE)
		assert.deepEqual(at.json(), ['c'])
		unlinkSync(at.path)
		await document.withLock((held) => held.write(['d']), DOCUMENT_UP_TO_A_MINUTE)
		assert.deepEqual(at.json(), ['d'])
	})

	// Its updates succeeded, and wrote what the updater made of a promise: nothing of the value.
	test(`${lock}: an empty that is asynchronous is refused, and writes nothing`, async (t) => {
		const at = folder(t)
		const settings = {
			resolves: async () => ({ theme: 'light' }),
			rejects: () => Promise.reject(1),
		}
		for (const empty of Object.values(settings)) {
			const document = documentIn(at, lock, { empty })
			const refused = { name: 'RegistryError', code: 'INVALID_VALUE', path: at.path }
			for (const update of Object.values(updates)) {
				await assert.rejects(
					update(document, (value) => ({ ...value, seen: 1 })),
					{ ...refused, message: /empty returned a promise/ },
				)
			}
			await assert.rejects(document.watch().next(), refused)
		}
		assert.equal(existsSync(at.path), false)
	})

	test(`${lock}: an empty value need not have a text`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, { empty: () => undefined })
		await assert.rejects(document.update(same, DOCUMENT_UP_TO_A_MINUTE), { code: 'INVALID_VALUE' })
		const given = []
		await document.update((value) => {
			given.push(value)
			return { first: true }
		}, DOCUMENT_UP_TO_A_MINUTE)
		assert.deepEqual([given, at.json()], [[undefined], { first: true }])
	})

	test(`${lock}: options of a call that are no object are INVALID_VALUE`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, lists)
		for (const call of Object.values({ ...writes([]), ...loads })) {
			for (const options of [null, 'options']) {
				const refused = { name: 'RegistryError', code: 'INVALID_VALUE', message: /options/ }
				await assert.rejects(call(document, options), refused)
			}
		}
		// Before anything was done.
		assert.deepEqual(namesIn(at), [])
	})

	for (const [name, update] of Object.entries(updates)) {
		test(`${lock}: ${name}: unchanged writes nothing, in whatever layout; changed in place is written`, async (t) => {
			const at = folder(t)
			const run = (updater, options) => () => update(documentIn(at, lock, options), updater)
			at.put('[ 1.50,\n2 ]')
			assert.equal(await leaves(at, run(same, lists)), true)
			const addInPlace = (list) => {
				list.push(3)
				return list
			}
			assert.equal(await leaves(at, run(addInPlace, lists)), false)
			assert.equal(at.text(), print([1.5, 2, 3]))
			// Another object is written, as in a registry, even if it prints alike.
			assert.equal(
				await leaves(
					at,
					run((list) => [...list], lists),
				),
				false,
			)
			// Comments are lost when something is written, and only then.
			at.put('# why\na')
			assert.equal(await leaves(at, run(same, lines)), true)
			assert.equal(await leaves(at, run(push('b'), lines)), false)
			assert.equal(at.text(), '#\na\nb')
		})

		test(`${lock}: ${name}: a number that is spelled differently is unchanged, and one with another value is written`, async (t) => {
			const at = folder(t)
			const document = documentIn(at, lock, {})
			for (const [spelled, value] of [
				['5', 5],
				['10.0', 10],
				['1e3', 1000],
				['1000', 1000],
				['-0.0', -0],
				['0', 0],
				['0.10', 0.1],
				['12345678901234567890', Number('12345678901234567890')],
				['"x: 5 "', 'x: 5 '],
				['"x: \\u0035 "', 'x: 5 '],
			]) {
				at.put(`{\n  "a: 1 ": 1,\n  "n": ${spelled}\n}`)
				const isLeft = await leaves(at, () =>
					update(document, (read) => Object.assign(read, { n: value })),
				)
				assert.equal(isLeft, true, spelled)
				const other = typeof value === 'number' ? value * 2 + 1 : 'x: 6 '
				await update(document, (read) => Object.assign(read, { n: other }))
				assert.equal(at.text(), print({ 'a: 1 ': 1, n: other }), spelled)
			}
		})

		test(`${lock}: ${name}: a primitive is unchanged if its text is`, async (t) => {
			const at = folder(t)
			const run = (next, options) => () => update(documentIn(at, lock, options), () => next)
			const number = { empty: () => 0 }
			at.put('1.50')
			assert.equal(await leaves(at, run(1.5, number)), true)
			assert.equal(await leaves(at, run(2, number)), false)
			assert.equal(at.text(), '2')
			// What is given and what is returned differ, and what is printed does not.
			const rounded = { decode: Number, encode: (value) => value.toFixed(0), empty: () => 0 }
			assert.equal(await leaves(at, run(2.2, rounded)), true)
			const notANumber = { decode: Number, encode: String, empty: () => 0 }
			at.put('NaN')
			assert.equal(await leaves(at, run(Number.NaN, notANumber)), true)
			// They are equal, and print differently.
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

	test(`${lock}: what decode can read and encode can't print can still be put right`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, {
			decode: (text) => ({ n: text.endsWith('n') ? BigInt(text.slice(0, -1)) : JSON.parse(text) }),
			encode: ({ n }) => JSON.stringify(n),
			empty: () => ({ n: 0 }),
		})
		at.put('7n')
		await document.update(
			(value) => Object.assign(value, { n: Number(value.n) }),
			DOCUMENT_UP_TO_A_MINUTE,
		)
		assert.equal(at.text(), '7')
	})
}

for (const [what, options] of Object.entries(badOptions)) {
	test(`bad options (${what}) are INVALID_VALUE at once`, (t) => {
		const at = folder(t)
		const name = what.match(/^(\w+) is no function$/)?.[1] ?? 'options'
		const refused = { name: 'RegistryError', code: 'INVALID_VALUE', message: new RegExp(name) }
		assert.throws(() => new Document(at.path, options), { ...refused, path: at.path })
		assert.deepEqual(namesIn(at), [])
	})
}
