// Files that are no registries: codecs of the caller's in batches, and beside other codecs.

import assert from 'node:assert/strict'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { updateRegistry, updateRegistrySync, withRegistryLock, writeRegistry } from '../../index.js'
import { lines, same, updates } from '../support/documents.mjs'
import { folder, print } from '../support/folder.mjs'
import { puppets } from '../support/processes.mjs'

const LONG = { timeoutMs: 60_000, durable: false }

const push = (item) => (list) => [...list, item]

/** Any JSON. */
const lists = { empty: () => [] }

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
