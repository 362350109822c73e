// Files that are no registries: what a codec of the caller's writes to them, and what it can't write.

import assert from 'node:assert/strict'
import { existsSync, statSync, unlinkSync } from 'node:fs'
import { test } from 'node:test'
import {
	RegistryError,
	readRegistry,
	readRegistrySync,
	updateRegistry,
	updateRegistrySync,
	writeRegistry,
} from '../../index.js'
import { caught, lines, same, updates, writes } from '../support/documents.mjs'
import { folder, print } from '../support/folder.mjs'

const LONG = { timeoutMs: 60_000, durable: false }

const push = (item) => (list) => [...list, item]

/** Any JSON. */
const lists = { empty: () => [] }

/** Every call that reads. */
const reads = { readRegistry, readRegistrySync: async (...args) => readRegistrySync(...args) }

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
		const options = { ...LONG, codec: { ...lists, ...(encode && { encode }) } }
		for (const [name, write] of Object.entries(writes(next))) {
			const error = await caught(write(at.path, options))
			assert.ok(error instanceof RegistryError, name)
			assert.deepEqual([error.code, error.path], ['INVALID_VALUE', at.path], name)
			const isThrown = what.endsWith('throws') || what === 'a cycle'
			assert.equal(error.cause instanceof Error, isThrown, name)
		}
		assert.equal(at.text(), print(['a']))
		assert.deepEqual(at.others(), [])
		await updateRegistry(at.path, same, { ...LONG, timeoutMs: 0, codec: lists })
	})
}

test('what encode throws is the cause, and the others of the batch are unaffected', async (t) => {
	const at = folder(t)
	const mine = new Error('mine')
	const encode = (list) => {
		if (list.includes('bad')) throw mine
		return JSON.stringify(list)
	}
	const options = { ...LONG, codec: { ...lists, encode } }
	const settled = await Promise.allSettled([
		updateRegistry(at.path, push('a'), options),
		updateRegistry(at.path, (list) => list.concat('bad'), options),
		updateRegistry(
			at.path,
			(list) => {
				list.push('bad')
				return list
			},
			options,
		),
		updateRegistry(at.path, push('b'), options),
	])
	assert.deepEqual(
		settled.map(({ reason }) => reason?.code),
		[undefined, 'INVALID_VALUE', 'INVALID_VALUE', undefined],
	)
	assert.equal(settled[1].reason.cause, mine)
	assert.match(settled[1].reason.message, /can't be encoded: mine/)
	assert.equal(at.text(), '["a","b"]')
})

test('what empty throws goes to its caller, as it is, and to no one else', async (t) => {
	const at = folder(t)
	const mine = new TypeError('mine')
	const codec = {
		empty: () => {
			throw mine
		},
	}
	for (const call of [
		() => readRegistry(at.path, { codec }),
		async () => readRegistrySync(at.path, { codec }),
		() => updateRegistry(at.path, same, { codec }),
		async () => updateRegistrySync(at.path, same, { codec }),
	]) {
		assert.equal(await caught(call()), mine)
	}
	const settled = await Promise.allSettled([
		updateRegistry(at.path, same, { ...LONG, codec }),
		updateRegistry(at.path, push('a'), { ...LONG, codec: lists }),
		// Not missing any more.
		updateRegistry(at.path, push('b'), { ...LONG, codec }),
	])
	assert.deepEqual(
		settled.map(({ reason }) => reason),
		[mine, undefined, undefined],
	)
	assert.deepEqual(at.json(), ['a', 'b'])
	// Who writes a value needs no empty one.
	unlinkSync(at.path)
	await writeRegistry(at.path, ['c'], { ...LONG, codec })
	assert.deepEqual(at.json(), ['c'])
})

test('an empty value need not have a text', async (t) => {
	const at = folder(t)
	const options = { ...LONG, codec: { empty: () => undefined } }
	await assert.rejects(updateRegistry(at.path, same, options), { code: 'INVALID_VALUE' })
	const given = []
	await updateRegistry(
		at.path,
		(value) => {
			given.push(value)
			return { first: true }
		},
		options,
	)
	assert.deepEqual([given, at.json()], [[undefined], { first: true }])
})

const badCodecs = {
	null: null,
	'a string': 'json',
	'a function': Object.assign(() => {}, { empty: () => [] }),
	'without empty': {},
	'empty is no function': { empty: [] },
	'decode is no function': { ...lists, decode: null },
	'encode is no function': { ...lists, encode: 'utf8' },
}

for (const [what, codec] of Object.entries(badCodecs)) {
	test(`a bad codec (${what}) is INVALID_VALUE at the call`, async (t) => {
		const at = folder(t)
		at.put('[]')
		const calls = { ...writes([]), ...reads }
		for (const [name, call] of Object.entries(calls)) {
			const refused = { name: 'RegistryError', code: 'INVALID_VALUE', message: /codec/ }
			await assert.rejects(call(at.path, { codec }), refused, name)
		}
		assert.throws(() => readRegistrySync(at.path, { codec }), { code: 'INVALID_VALUE' })
		// Before anything was done.
		assert.equal(existsSync(at.guard), false)
	})
}

test('options of a reader that are no object are INVALID_VALUE', async (t) => {
	const at = folder(t)
	for (const read of Object.values(reads)) {
		for (const options of [null, 'options']) {
			await assert.rejects(read(at.path, options), { code: 'INVALID_VALUE' })
		}
	}
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
		const run = (updater, codec) => () => update(at.path, updater, { ...LONG, codec })
		at.put('[ 1.50,\n2 ]')
		assert.equal(await leaves(at, run(same, lists)), true)
		const addInPlace = (list) => {
			list.push(3)
			return list
		}
		assert.equal(await leaves(at, run(addInPlace, lists)), false)
		assert.equal(at.text(), print([1.5, 2, 3]))
		// Another object is written, as in a registry, even if it prints the same.
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

	test(`${name}: a primitive is unchanged if its text is`, async (t) => {
		const at = folder(t)
		const run = (next, codec) => () => update(at.path, () => next, { ...LONG, codec })
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

test('what a codec can read but not print can still be put right', async (t) => {
	const at = folder(t)
	const codec = {
		decode: (text) => ({ n: text.endsWith('n') ? BigInt(text.slice(0, -1)) : JSON.parse(text) }),
		encode: ({ n }) => JSON.stringify(n),
		empty: () => ({ n: 0 }),
	}
	at.put('7n')
	const toNumber = (value) => Object.assign(value, { n: Number(value.n) })
	await updateRegistry(at.path, toNumber, { ...LONG, codec })
	assert.equal(at.text(), '7')
})
