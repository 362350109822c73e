// Files that are no registries: what a codec of the caller's makes of them.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	RegistryError,
	readRegistry,
	readRegistrySync,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../index.js'
import { EMPTY, folder, print } from './support/folder.mjs'
import { installPackage } from './support/install.mjs'
import { puppets } from './support/processes.mjs'

const LONG = { timeoutMs: 60_000, durable: false }
const same = (value) => value
const push = (item) => (list) => [...list, item]

/** Any JSON. */
const lists = { empty: () => [] }
/** Not JSON: one line per item. */
const lines = {
	decode: (text) => {
		if (!text.startsWith('#')) throw new Error('no header')
		return text.split('\n').slice(1)
	},
	encode: (list) => ['#', ...list].join('\n'),
	empty: () => [],
}

/** The same update, asynchronous and synchronous. */
const updates = {
	updateRegistry,
	updateRegistrySync: async (...args) => updateRegistrySync(...args),
}

/** Every call that writes `value`. */
const writes = (value) => ({
	updateRegistry: (path, options) => updateRegistry(path, () => value, options),
	updateRegistrySync: async (path, options) => updateRegistrySync(path, () => value, options),
	writeRegistry: (path, options) => writeRegistry(path, value, options),
	withRegistryLock: (path, options) => withRegistryLock(path, (lock) => lock.write(value), options),
})

/** Every call that reads. */
const reads = { readRegistry, readRegistrySync: async (...args) => readRegistrySync(...args) }

const caught = (promise) =>
	promise.then(
		() => assert.fail('resolved'),
		(error) => error,
	)

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

test('in a batch each gets what its own codec makes of what another’s has printed', async (t) => {
	const at = folder(t)
	at.put('["file"]')
	const seen = []
	const look = (list) => {
		seen.push(list)
		return push(seen.length)(list)
	}
	/** The same file as a set. */
	const sets = {
		decode: (text) => new Set(JSON.parse(text)),
		encode: (set) => JSON.stringify([...set]),
		empty: () => new Set(),
	}
	await Promise.all([
		updateRegistry(at.path, look, { ...LONG, codec: lists }),
		updateRegistry(at.path, (set) => set.add('set'), { ...LONG, codec: sets }),
		updateRegistry(at.path, (set) => set.add('set'), { ...LONG, codec: sets }),
		updateRegistry(at.path, look, { ...LONG, codec: lists }),
		updateRegistry(at.path, async (set) => set.add('async'), { ...LONG, codec: sets }),
		updateRegistry(at.path, look, { ...LONG, codec: lists }),
	])
	assert.deepEqual(seen, [['file'], ['file', 1, 'set'], ['file', 1, 'set', 2, 'async']])
	assert.deepEqual(at.json(), ['file', 1, 'set', 2, 'async', 3])
	assert.deepEqual(at.others(), [])
})

test('a batch of one codec decodes once per updater, and a single update once', async (t) => {
	const at = folder(t)
	at.put(print([]))
	let decoded = 0
	const codec = {
		decode: (text) => {
			decoded += 1
			return JSON.parse(text)
		},
		empty: () => [],
	}
	const options = { ...LONG, codec }
	for (const update of Object.values(updates)) {
		decoded = 0
		await update(at.path, push('one'), options)
		assert.equal(decoded, 1)
	}
	decoded = 0
	const add = (list) => {
		list.push('another')
		return list
	}
	await Promise.all(Array.from({ length: 100 }, () => updateRegistry(at.path, add, options)))
	// Once more per batch, to see whether the first one of it was changed in place.
	assert.ok(decoded <= 120, `${decoded} times`)
	decoded = 0
	await Promise.all(Array.from({ length: 100 }, () => writeRegistry(at.path, [], options)))
	assert.ok(decoded <= 20, `${decoded} times`)
})

/** Options that note who is warned, and of what. */
const noting = (warned) => (codec, name) => ({
	...LONG,
	codec,
	onWarning: ({ kept }) => warned.push([name, kept]),
})

test('a file may be corrupt for one codec of a batch and fine for another', async (t) => {
	const at = folder(t)
	const warned = []
	const of = noting(warned)
	at.put('["fine"]')
	const settled = await Promise.all([
		// Bad for it, but it replaces nothing.
		updateRegistry(at.path, same, of(lines, 'looks')),
		updateRegistry(at.path, push('a'), of(lists, 'fine')),
	])
	assert.deepEqual(settled[0], [])
	assert.deepEqual(at.json(), ['fine', 'a'])
	assert.deepEqual([warned, at.others()], [[], []])

	await Promise.all([
		updateRegistry(at.path, push('b'), of(lines, 'replaces')),
		updateRegistry(at.path, push('c'), of(lines, 'adds')),
		writeRegistry(at.path, ['d'], of(lines, 'writes')),
	])
	assert.equal(at.text(), '#\nd')
	assert.equal(warned.length, 1)
	assert.equal(warned[0][0], 'replaces')
	assert.deepEqual(JSON.parse(readFileSync(warned[0][1], 'utf8')), ['fine', 'a'])
})

for (const kind of ['an update', 'a write']) {
	test(`what one codec has made of the file in a batch is kept when ${kind} by another finds it corrupt`, async (t) => {
		const at = folder(t)
		const warned = []
		const of = noting(warned)
		const replace = {
			'an update': () => updateRegistry(at.path, push('b'), of(lines, 'lines')),
			'a write': () => writeRegistry(at.path, ['b'], of(lines, 'lines')),
		}
		await Promise.all([
			updateRegistry(at.path, push('a'), of(lists, 'lists')),
			replace[kind](),
			updateRegistry(at.path, push('c'), of(lines, 'lines again')),
			updateRegistry(at.path, push('d'), of(lists, 'lists')),
		])
		assert.deepEqual(at.json(), ['d'])
		assert.deepEqual(
			warned.map(([name, kept]) => [name, readFileSync(kept, 'utf8')]),
			[
				['lines', print(['a'])],
				['lists', '#\nb\nc'],
			],
		)
	})
}

test('who was given what was lost with the lock runs again, on what is in the file', async (t) => {
	const at = folder(t)
	at.put('[]')
	let runs = 0
	const rob = (list) => {
		runs += 1
		if (runs === 1) {
			// What an old argus does that takes the lock for stale.
			unlinkSync(at.lockfile)
			writeFileSync(at.path, '["another"]')
		}
		return push('first')(list)
	}
	const warned = []
	const onWarning = ({ kept }) => warned.push(JSON.parse(readFileSync(kept, 'utf8')))
	await Promise.all([
		updateRegistry(at.path, rob, { ...LONG, codec: lists }),
		updateRegistry(at.path, push('second'), { ...LONG, codec: lines, onWarning }),
	])
	assert.deepEqual([runs, at.text()], [2, '#\nsecond'])
	assert.deepEqual(warned, [['another', 'first']])
})

test('one that is aborted while what was before it is written writes nothing', async (t) => {
	const at = folder(t)
	const aborter = new AbortController()
	const addAndAbort = (list) => {
		// By then the second one waits for what the first has made to be written.
		setImmediate(() => aborter.abort())
		return push('a')(list)
	}
	const first = updateRegistry(at.path, addAndAbort, { ...LONG, codec: lists })
	const second = writeRegistry(at.path, ['b'], { ...LONG, codec: lines, signal: aborter.signal })
	await assert.rejects(second, { code: 'ABORTED' })
	await first
	assert.deepEqual(at.json(), ['a'])
	assert.deepEqual(at.others(), [])
})

test('writes are of what a document was at the time of the call', async (t) => {
	const at = folder(t)
	const options = { ...LONG, codec: lines }
	const list = ['a']
	const written = writeRegistry(at.path, list, options)
	list.push('b')
	await written
	assert.equal(at.text(), '#\na')
	await withRegistryLock(
		at.path,
		async (lock) => {
			lock.write(list)
			list.push('c')
		},
		options,
	)
	assert.equal(at.text(), '#\na\nb')
})

test('a codec is caller’s code: a sync update from inside of it is refused, not waited for', async (t) => {
	const at = folder(t)
	const nested = []
	const tryIt = () => {
		try {
			updateRegistrySync(at.path, same, { timeoutMs: 100, codec: lists })
		} catch ({ code }) {
			nested.push(code)
		}
	}
	const codec = {
		decode: (text) => {
			tryIt()
			return JSON.parse(text)
		},
		encode: (list) => {
			tryIt()
			return JSON.stringify(list)
		},
		empty: () => [],
	}
	for (const update of Object.values(updates)) {
		at.put('["a"]')
		nested.length = 0
		await update(at.path, push('b'), { ...LONG, codec })
		assert.deepEqual(nested, ['RE_ENTRANT', 'RE_ENTRANT'])
		assert.equal(at.text(), '["a","b"]')
	}
})

test('4 processes x 50 increments of a number, two at a time in each: the exact count', async (t) => {
	const at = folder(t)
	const marker = `${at.path}.marker`
	const all = puppets(t, 4)
	const details = { path: at.path, times: 25, marker, options: LONG }
	for (const each of all) {
		each.start('incrementNumber', details)
		each.start('incrementNumber', details)
	}
	for (const each of all) {
		await each.expect('done')
		await each.expect('done')
	}
	assert.equal(at.text(), '200')
	assert.deepEqual(at.others(), [])
})
