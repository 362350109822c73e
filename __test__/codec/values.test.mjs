// Values that JSON does not hold are refused, and numbers that no double is stay as they are in the file.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import {
	announceWatcher,
	claimWatcher,
	Document,
	heartbeatWatcher,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { documentIn, LOCKS, noLitter, updates, writes } from '../support/documents.mjs'
import { caught } from '../support/failures.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'

class Private {
	#value = 1
	shown = 2
	get value() {
		return this.#value
	}
}

/** What JSON does not hold, and how the error calls it. */
const lost = {
	'a Map': [new Map([['a', 1]]), 'an object of the class Map'],
	'a Set': [new Set([1]), 'an object of the class Set'],
	'a WeakMap': [new WeakMap(), 'an object of the class WeakMap'],
	'a promise': [Promise.resolve(), 'an object of the class Promise'],
	'a regular expression': [/x/, 'an object of the class RegExp'],
	'an error': [new Error('x'), 'an object of the class Error'],
	'a typed array': [new Uint8Array(2), 'an object of the class Uint8Array'],
	'private fields': [new Private(), 'an object of the class Private'],
	'a Map of another realm': [runInNewContext('new Map()'), 'an object of the class Map'],
	'inherited properties': [Object.create({ a: 1 }), 'an object of the class Object'],
	'a function': [() => {}, 'a function'],
	'a symbol': [Symbol('x'), 'a symbol'],
	NaN: [Number.NaN, 'NaN'],
	Infinity: [Number.NEGATIVE_INFINITY, '-Infinity'],
}

/** What JSON holds. */
const held = {
	'plain objects': [
		{ a: { b: [] }, c: Object.create(null) },
		{ a: { b: [] }, c: {} },
	],
	'objects of another realm': [runInNewContext('({ a: [{ b: 1 }] })'), { a: [{ b: 1 }] }],
	'a date': [new Date(7), new Date(7).toJSON()],
	'a class with toJSON': [
		new (class {
			toJSON = () => [7]
		})(),
		[7],
	],
	'an undefined property': [{ a: undefined, b: 1 }, { b: 1 }],
	'a property that is a symbol’s': [{ [Symbol('a')]: 1, b: 1 }, { b: 1 }],
	'null, a text, a number': [
		[null, 'a', -1.5, true],
		[null, 'a', -1.5, true],
	],
}

const refusal = (error, path, where, what) => {
	assert.deepEqual([error.name, error.code, error.path], ['RegistryError', 'INVALID_VALUE', path])
	assert.ok(error.message.includes(`${where} is ${what}, which JSON does not hold`), error.message)
}

for (const lock of LOCKS) {
	test(`${lock}: a document that JSON does not hold is refused, with the path in it`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, { empty: () => ({}) })
		await document.save({ kept: 1 })
		for (const [value, what] of Object.values(lost)) {
			for (const [next, where] of [
				[value, 'it'],
				[{ a: { 'b c': [1, { d: value }] } }, 'a["b c"][1].d'],
				[[value], '[0]'],
			]) {
				// A function alone has no text at all, and a promise is waited for.
				if (['function', 'symbol'].includes(typeof next) || next instanceof Promise) continue
				for (const write of Object.values(writes(next))) {
					refusal(await caught(write(document)), at.path, where, what)
				}
			}
		}
		refusal(await caught(document.save([1, undefined])), at.path, '[1]', 'undefined')
		// biome-ignore lint/suspicious/noSparseArray: a hole is an item, too.
		refusal(await caught(document.save({ a: [, 1] })), at.path, 'a[0]', 'undefined')
		assert.deepEqual(at.json(), { kept: 1 })
		noLitter(at, lock)
	})

	test(`${lock}: a Map or a class that an updater changes in place is refused, not left out`, async (t) => {
		const at = folder(t)
		for (const [empty, change, what] of [
			[() => new Map(), (map) => map.set('a', 1), 'Map'],
			[() => new Set(), (set) => set.add('a'), 'Set'],
			[() => new Private(), (value) => value, 'Private'],
		]) {
			const document = documentIn(at, lock, { empty })
			for (const update of Object.values(updates)) {
				const error = await caught(update(document, change))
				refusal(error, at.path, 'it', `an object of the class ${what}`)
			}
		}
	})

	test(`${lock}: what JSON holds is written`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, { empty: () => 0 })
		for (const [name, [value, expected]] of Object.entries(held)) {
			for (const write of Object.values(writes({ value }))) {
				await document.save(0)
				await write(document)
				assert.deepEqual((await document.load()).value, { value: expected }, name)
			}
		}
	})

	test(`${lock}: numbers that no double is stay as they are, where an update leaves them alone`, async (t) => {
		const at = folder(t)
		const before = {
			'{"id":9007199254740993,"n":0}': '{\n  "id": 9007199254740993,\n  "n": 1\n}',
			'{ "n": 0, "list": [ 12345678901234567890, {"\\u0061": -0} ] }':
				'{\n  "n": 1,\n  "list": [\n    12345678901234567890,\n    {\n      "a": -0\n    }\n  ]\n}',
			'{"x":0.1000000000000000055,"s":"a\\" 9007199254740993","n":0}':
				'{\n  "x": 0.1000000000000000055,\n  "s": "a\\" 9007199254740993",\n  "n": 1\n}',
			// As Python prints the negative zero; the third is none.
			'{"a":-0.0,"b":-0.00,"c":-0.5,"n":0}':
				'{\n  "a": -0.0,\n  "b": -0.00,\n  "c": -0.5,\n  "n": 1\n}',
			// Not lost, so printed as ever.
			'{"a":1.50,"b":1E5,"n":0}': '{\n  "a": 1.5,\n  "b": 100000,\n  "n": 1\n}',
		}
		const document = documentIn(at, lock, {})
		for (const [text, expected] of Object.entries(before)) {
			for (const update of Object.values(updates)) {
				at.put(text)
				await update(document, (value) => value)
				assert.equal(at.text(), text, 'nothing was changed')
				await update(document, (value) => ({ ...value, n: 1 }))
				assert.equal(at.text(), expected)
				await update(document, (value) => value)
				assert.equal(at.text(), expected)
			}
		}
		const [big, bigger] = ['1234567890123456789', '1234567890123456790']
		const alike = [big, bigger].map(Number)
		assert.equal(...alike)
		const lists = {
			// Other numbers that print alike stay, as long as the list does.
			'n of another property': [(value) => ({ ...value, n: 1 }), [big, bigger, 7], 1],
			'an item was removed': [(value) => ({ ...value, ids: value.ids.slice(1) }), [alike[1], 7], 0],
			'an item was added': [
				(value) => ({ ...value, ids: [...value.ids, 8] }),
				[big, bigger, 7, 8],
				0,
			],
			'an item was changed': [({ n }, ids) => ({ ids: ids.with(2, 8), n }), [big, bigger, 8], 0],
			'one of them was changed': [
				({ n }, ids) => ({ ids: ids.with(1, 8), n }),
				[alike[0], 8, 7],
				0,
			],
			// Prints like the one above.
			'one of them was removed, and one added': [
				({ n }, [, second]) => ({ ids: [second, 8, 7], n }),
				[alike[1], 8, 7],
				0,
			],
		}
		for (const [name, [updater, ids, n]] of Object.entries(lists)) {
			for (const update of Object.values(updates)) {
				at.put(`{"ids":[${big},${bigger},7],"n":0}`)
				await update(document, (value) => updater(value, value.ids))
				const expected = `{"ids":[${ids.join()}],"n":${n}}`
				assert.equal(at.text().replace(/\s/g, ''), expected, name)
			}
		}
		// No other number prints like it, so it stays itself.
		at.put(`{"ids":[${big},7]}`)
		await document.update(({ ids }) => ({ ids: [...ids, 8] }), DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(at.text().replace(/\s/g, ''), `{"ids":[${big},7,8]}`)
		at.put(`{"ids":[{"id":${big},"of":"a"},{"id":${bigger},"of":"b"}]}`)
		await document.update(({ ids }) => ({ ids: ids.reverse() }), DOCUMENT_UP_TO_A_MINUTE)
		const swapped = [`{"id":${alike[1]},"of":"b"}`, `{"id":${alike[0]},"of":"a"}`]
		assert.equal(at.text().replace(/\s/g, ''), `{"ids":[${swapped}]}`)
		at.put('{"id":9007199254740993,"n":0}')
		const add = () =>
			document.update((value) => ({ ...value, n: value.n + 1 }), DOCUMENT_UP_TO_A_MINUTE)
		await Promise.all([
			add(),
			add(),
			document.update(async (value) => value, DOCUMENT_UP_TO_A_MINUTE),
			add(),
		])
		assert.equal(at.text(), '{\n  "id": 9007199254740993,\n  "n": 3\n}')
		await document.update((value) => ({ ...value, id: 5 }), DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(at.json().id, 5)
	})
}

// Ids that were two became one, in updates that did not touch them.
test('of objects in a list each keeps its own number, or what the updater got', async (t) => {
	const at = folder(t)
	const document = documentIn(at, 'registry', {})
	const [one, other] = ['9007199254740993', '9007199254740992']
	const item = (id, n, more = '') => `{"id":${id},"n":${n}${more}}`
	const increment = (index) => (value) => {
		value.items[index].n += 1
		return value
	}
	const change = (body) => (value) => {
		body(value.items)
		return value
	}
	const both = [item(one, 1), item(other, 1)]
	const cases = {
		'another member of one': [both, increment(1), [item(one, 1), item(other, 2)]],
		'another member of the first': [both, increment(0), [item(one, 2), item(other, 1)]],
		'a member of one, so that both print alike': [
			[item(one, 1), item(other, 2)],
			increment(0),
			[item(one, 2), item(other, 2)],
		],
		'a new member of one': [
			both,
			change((items) => {
				items[0].x = 1
			}),
			[item(one, 1, ',"x":1'), item(other, 1)],
		],
		'an item more': [both, change((items) => items.push({ id: 5, n: 1 })), [...both, item(5, 1)]],
		'an item of an inner list more': [
			[`{"ids":[${one},${other}]}`, `{"ids":[${other}]}`],
			change((items) => items[0].ids.push(5)),
			[`{"ids":[${one},${other},5]}`, `{"ids":[${other}]}`],
		],
		'an item of an inner list less': [
			[`{"ids":[${one},${other}]}`, `{"ids":[${one}]}`],
			change((items) => items[0].ids.shift()),
			[`{"ids":[${other}]}`, `{"ids":[${one}]}`],
		],
		'the first moved to the end, and a member of both': [
			both,
			change((items) => {
				items.reverse()
				items[0].n = 2
				items[1].n = 3
			}),
			[item(other, 2), item(other, 3)],
		],
		'an item at the beginning': [
			both,
			change((items) => items.unshift({ id: 5, n: 1 })),
			[item(5, 1), item(other, 1), item(other, 1)],
		],
		'an item less, and another one more': [
			both,
			change((items) => {
				items.shift()
				items.push({ id: 5, n: 1 })
			}),
			[item(other, 1), item(5, 1)],
		],
	}
	for (const [name, [items, updater, expected]] of Object.entries(cases)) {
		for (const update of Object.values(updates)) {
			at.put(`{"items":[${items}]}`)
			await update(document, updater)
			assert.equal(at.text().replace(/\s/g, ''), `{"items":[${expected}]}`, name)
		}
	}
})

test('an update that changes nothing writes nothing, however the text is laid out', async (t) => {
	// The first three were rewritten: of 12 the 2 was compared, behind the space that is missing.
	const texts = ['{\n  "a":12\n}', '{\n  "a": 1,\n  "b":12\n}', '{\n  "a":\n12\n}', '{"a":12}']
	for (const lock of LOCKS) {
		const at = folder(t)
		const document = documentIn(at, lock, {})
		for (const text of texts) {
			for (const update of Object.values(updates)) {
				at.put(text)
				await update(document, (value) => value)
				assert.equal(at.text(), text)
				await update(document, (value) => ({ ...value, a: 13 }))
				assert.equal(at.text(), print({ ...JSON.parse(text), a: 13 }))
			}
		}
	}
})

test('a registry’s entries that JSON does not hold are refused, and long numbers stay', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY).replace('{}', '{"a": {"serial": 9007199254740993}}'))
	const next = { ...EMPTY, watchers: { a: { tags: new Set(['a']) } } }
	const calls = {
		updateRegistry: () => updateRegistry(at.path, () => next),
		updateRegistrySync: async () => updateRegistrySync(at.path, () => next),
		writeRegistry: () => writeRegistry(at.path, next),
		withRegistryLock: () => withRegistryLock(at.path, (lock) => lock.write(next)),
	}
	for (const call of Object.values(calls)) {
		refusal(await caught(call()), at.path, 'watchers.a.tags', 'an object of the class Set')
	}
	await updateRegistry(at.path, (registry) => ({ ...registry, updatedAt: 3 }))
	await updateRegistrySync(at.path, (registry) => ({ ...registry, other: 1 }))
	assert.equal(
		readFileSync(at.path, 'utf8'),
		print({ ...EMPTY, updatedAt: 3, watchers: { a: { serial: 0 } }, other: 1 }).replace(
			'"serial": 0',
			'"serial": 9007199254740993',
		),
	)
})

/** Deeper than code without recursion could call itself; the engine's frames are larger on Windows. */
const LEVELS = process.platform === 'win32' ? 1_500 : 3_000

test('strings and numbers of many megabytes beside a number that no double is are updated', async (t) => {
	const at = folder(t)
	const size = 20_000_000
	for (const [name, long] of Object.entries({
		plain: JSON.stringify('x'.repeat(size)),
		quotes: JSON.stringify('"'.repeat(size / 2)),
		backslashes: JSON.stringify('\\'.repeat(size / 2)),
		zeros: `1${'0'.repeat(300_000)}1e-300001`,
	})) {
		at.put(`{"long": ${long}, "number": 12345678901234567890, "count": 1}`)
		await new Document(at.path, { lock: 'registry' }).update((value) => ({ ...value, count: 2 }))
		const text = readFileSync(at.path, 'utf8')
		assert.match(text.slice(-60), /"number": 12345678901234567890,\s+"count": 2\s+\}\s*$/, name)
		assert.ok(text.includes(long), name)
	}
})

test('a value that is nested as deeply as JavaScript can print it is written', async (t) => {
	const at = folder(t)
	let deep = { here: 1 }
	for (let level = 0; level < LEVELS; level += 1) deep = { deep }
	const document = documentIn(at, 'lock-file', {})
	await document.save(deep)
	assert.equal(at.text(), print(deep))
	await announceWatcher(at.path.replace('.json', '2.json'), record('app', { match: deep }))
	let lost = { here: Number.NaN }
	for (let level = 0; level < LEVELS; level += 1) lost = { lost }
	const place = `${'lost.'.repeat(LEVELS)}here is NaN, which`
	assert.ok((await caught(document.save(lost))).message.includes(place))
})

test('a watcher that JSON does not hold is refused by the operations on entries', async (t) => {
	const at = folder(t)
	const watcher = record('app', { match: { pages: [new Map()] } })
	for (const call of [announceWatcher, claimWatcher, heartbeatWatcher]) {
		const error = await caught(call(at.path, watcher))
		refusal(error, at.path, 'match.pages[0]', 'an object of the class Map')
	}
	assert.deepEqual(at.others(), [])
})

test('a document with an encode of its own may be of any class', async (t) => {
	const at = folder(t)
	const document = new Document(at.path, {
		decode: (text) => new Map(JSON.parse(text)),
		encode: (map) => JSON.stringify([...map]),
		empty: () => new Map(),
	})
	await document.update((map) => map.set('a', 1))
	assert.equal(at.text(), '[["a",1]]')
})
