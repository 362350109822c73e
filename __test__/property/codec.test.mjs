// Registries and documents of any content, beside what the engine itself reads and prints.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import {
	Document,
	heartbeatWatcher,
	readRegistrySync,
	removeWatcher,
	updateRegistrySync,
} from '../../index.js'
import { folder, print } from '../support/folder.mjs'

const options = { durable: false }

/** Strings with every kind of character, lone surrogates too; keys that are array indexes; `__proto__`. */
const text = fc.oneof(
	fc.string({ unit: 'binary', maxLength: 8 }),
	fc.constantFrom(
		'__proto__',
		'constructor',
		'7',
		'4294967294',
		'4294967295',
		'\ud800',
		'',
		'toJSON',
	),
)

const { value } = fc.letrec((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4 },
		fc.double({ noNaN: true, noDefaultInfinity: true }),
		fc.integer(),
		text,
		fc.constantFrom(null, true, false),
		fc.array(tie('value'), { maxLength: 4 }),
		fc.dictionary(text, tie('value'), { maxKeys: 4 }),
	),
}))

/** What JSON has of a value, as a plain object of this realm. */
const plain = (any) => JSON.parse(JSON.stringify(any))

const registry = fc
	.tuple(fc.dictionary(text, value, { maxKeys: 4 }), fc.dictionary(text, value, { maxKeys: 5 }))
	.map(([others, watchers]) => plain({ ...others, version: 1, updatedAt: 5, watchers }))

/** White space of any kind between the tokens of a text. */
const loosely = (json, spaces) => {
	let at = 0
	return json.replace(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g, (token) =>
		token.startsWith('"') ? token : `${token}${spaces[at++ % spaces.length]}`,
	)
}

const spaces = fc.array(fc.constantFrom('', ' ', '\n', '\t', '\r\n'), {
	minLength: 1,
	maxLength: 7,
})

test('an update leaves what the engine prints of the value', async (t) => {
	const at = folder(t)
	fc.assert(
		fc.property(registry, spaces, (given, gaps) => {
			at.put(loosely(JSON.stringify(given), gaps))
			updateRegistrySync(at.path, (read) => Object.assign(read, { updatedAt: 6 }), options)
			assert.equal(at.text(), print({ ...given, updatedAt: 6 }))
		}),
	)
})

test('removing an entry, which the core does, leaves what the engine prints without it', async (t) => {
	const at = folder(t)
	await fc.assert(
		fc.asyncProperty(registry, spaces, fc.nat(), async (given, gaps, pick) => {
			at.put(loosely(JSON.stringify(given), gaps))
			// A Rust string holds no lone surrogate, and an id has a character.
			const ids = Object.keys(given.watchers).filter((id) => id !== '' && id.isWellFormed())
			if (ids.length === 0) return
			const id = ids[pick % ids.length]
			assert.equal(await removeWatcher(at.path, id, options), true)
			delete given.watchers[id]
			const { updatedAt } = at.json()
			assert.ok(updatedAt > 5)
			assert.equal(at.text(), print({ ...given, updatedAt }))
		}),
	)
})

test('a heartbeat dates its entry and leaves every other byte that the engine printed', async (t) => {
	const at = folder(t)
	await fc.assert(
		fc.asyncProperty(registry, value, async (given, more) => {
			given.watchers.beating = plain({ more, id: 'beating', updatedAt: 1, pid: 1, startedAt: 1 })
			at.put(print(given))
			assert.equal(await heartbeatWatcher(at.path, 'beating', options), true)
			const { updatedAt } = at.json()
			given.watchers.beating.updatedAt = updatedAt
			assert.equal(at.text(), print({ ...given, updatedAt }))
		}),
	)
})

/** Numbers as another program may spell them. */
const spelled = fc.oneof(
	fc.bigInt().map(String),
	fc.tuple(fc.integer(), fc.bigInt({ min: 0n })).map(([whole, rest]) => `${whole}.${rest}`),
	fc.tuple(fc.integer(), fc.integer({ min: -400, max: 400 })).map(([n, e]) => `${n}e${e}`),
	fc.constantFrom('-0', '-0.0', '1E5', '1.50', '0.1000', '12345678901234567890', '1e400'),
)

/** A number's sign, its digits without zeros around them, and their exponent. */
const exact = (token) => {
	const [, sign, whole, fraction = '', exponent = '0'] =
		/^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(token)
	const digits = (whole + fraction).replace(/^0+/, '')
	const significant = digits.replace(/0+$/, '')
	const power = Number(exponent) - fraction.length + digits.length - significant.length
	return `${sign}${significant}e${significant === '' ? 0 : power}`
}

test('a number keeps its value, also one that no double is, when an update changes another', async (t) => {
	const at = folder(t)
	const document = new Document(at.path, { lock: 'registry', durable: false })
	await fc.assert(
		fc.asyncProperty(fc.array(spelled, { maxLength: 5 }), async (numbers) => {
			const members = numbers.map((number, index) => `"n${index}": ${number}`)
			at.put(`{${['"touched": 0', ...members].join(', ')}}`)
			const before = at.text()
			const done = document.update((read) => ({ ...read, touched: 1 }))
			// No double is that large: the value that the updater got can't be written.
			if (!numbers.every((number) => Number.isFinite(Number(number)))) {
				await assert.rejects(done, { code: 'INVALID_VALUE' })
				return assert.equal(at.text(), before)
			}
			await done
			const tokens = numbers.map(
				(_, index) => new RegExp(`"n${index}": ([^,\\s]+)`).exec(at.text())?.[1],
			)
			assert.deepEqual(tokens.map(exact), numbers.map(exact))
		}),
	)
})

test('the fuzzer’s registries are read as the engine reads them', async (t) => {
	const at = folder(t)
	const corpus = fileURLToPath(new URL('../../fuzz/corpus/registries/', import.meta.url))
	let read = 0
	for (const name of readdirSync(corpus)) {
		const bytes = readFileSync(join(corpus, name))
		at.put(bytes)
		const { registry: found, warnings } = readRegistrySync(at.path)
		// The core: it parses the text, and writes it if it has removed the entry.
		const id = Object.keys(found.watchers).find((key) => key !== '' && key.isWellFormed())
		if (warnings.length > 0 || id === undefined) continue
		assert.equal(await removeWatcher(at.path, id, options), true, name)
		delete found.watchers[id]
		const written = JSON.parse(at.text().replace(/^\ufeff/, ''))
		assert.equal(print(written), print({ ...found, updatedAt: written.updatedAt }), name)
		read += 1
	}
	assert.ok(read > 1, `only ${read} had an entry`)
})
