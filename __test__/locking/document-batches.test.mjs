// Documents: updates in one batch, by one format or by several.

import assert from 'node:assert/strict'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { documentAt, lines, lists, PATIENT, push, same, updates } from '../support/documents.mjs'
import { folder, print } from '../support/folder.mjs'
import { puppets } from '../support/processes.mjs'

test('in a batch each updater gets what its own format reads in the text of another', async (t) => {
	const at = folder(t)
	at.put('["file"]')
	const seen = []
	const look = (list) => {
		seen.push(list)
		return push(seen.length)(list)
	}
	const asList = documentAt(at, lists)
	const asSet = documentAt(at, {
		decode: (text) => new Set(JSON.parse(text)),
		encode: (set) => JSON.stringify([...set]),
		empty: () => new Set(),
	})
	await Promise.all([
		asList.update(look, PATIENT),
		asSet.update((set) => set.add('set'), PATIENT),
		asSet.update((set) => set.add('set'), PATIENT),
		asList.update(look, PATIENT),
		asSet.update(async (set) => set.add('async'), PATIENT),
		asList.update(look, PATIENT),
	])
	assert.deepEqual(seen, [['file'], ['file', 1, 'set'], ['file', 1, 'set', 2, 'async']])
	assert.deepEqual(at.json(), ['file', 1, 'set', 2, 'async', 3])
	assert.deepEqual(at.others(), [])
})

test('a batch of one document decodes once per updater, and a single update once', async (t) => {
	const at = folder(t)
	at.put(print([]))
	let decoded = 0
	const document = documentAt(at, {
		decode: (text) => {
			decoded += 1
			return JSON.parse(text)
		},
		empty: () => [],
	})
	for (const update of Object.values(updates)) {
		decoded = 0
		await update(document, push('one'))
		assert.equal(decoded, 1)
	}
	decoded = 0
	const add = (list) => {
		list.push('another')
		return list
	}
	await Promise.all(Array.from({ length: 100 }, () => document.update(add, PATIENT)))
	// Once more per batch, to see whether the first updater of it changed the value in place.
	assert.ok(decoded <= 120, `${decoded} times`)
	decoded = 0
	await Promise.all(Array.from({ length: 100 }, () => document.save([], PATIENT)))
	assert.ok(decoded <= 20, `${decoded} times`)
})

/** How to make a document that notes its name, and what was kept, with every warning. */
const noting = (at, warned) => (format, name) =>
	documentAt(at, format, { onWarning: ({ kept }) => warned.push([name, kept]) })

test('a file may be corrupt for one format of a batch and fine for another', async (t) => {
	const at = folder(t)
	const warned = []
	const of = noting(at, warned)
	at.put('["fine"]')
	const settled = await Promise.all([
		// Corrupt for this format, but the update replaces nothing.
		of(lines, 'looks').update(same, PATIENT),
		of(lists, 'fine').update(push('a'), PATIENT),
	])
	assert.deepEqual(settled[0], [])
	assert.deepEqual(at.json(), ['fine', 'a'])
	assert.deepEqual([warned, at.others()], [[], []])

	const document = of(lines, 'replaces')
	await Promise.all([
		document.update(push('b'), PATIENT),
		document.update(push('c'), PATIENT),
		document.save(['d'], PATIENT),
	])
	assert.equal(at.text(), '#\nd')
	assert.equal(warned.length, 1)
	assert.equal(warned[0][0], 'replaces')
	assert.deepEqual(JSON.parse(readFileSync(warned[0][1], 'utf8')), ['fine', 'a'])
})

for (const kind of ['an update', 'a save']) {
	test(`what one format has written in a batch is kept when ${kind} by another finds it corrupt`, async (t) => {
		const at = folder(t)
		const warned = []
		const of = noting(at, warned)
		const [asLists, asLines] = [of(lists, 'lists'), of(lines, 'lines')]
		const replace = {
			'an update': () => asLines.update(push('b'), PATIENT),
			'a save': () => asLines.save(['b'], PATIENT),
		}
		await Promise.all([
			asLists.update(push('a'), PATIENT),
			replace[kind](),
			asLines.update(push('c'), PATIENT),
			asLists.update(push('d'), PATIENT),
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

test('an updater whose value was lost with the lock runs again, on what is in the file', async (t) => {
	const at = folder(t)
	at.put('[]')
	let runs = 0
	const takeLockAway = (list) => {
		runs += 1
		if (runs === 1) {
			// As an old argus does that takes the lock for stale.
			unlinkSync(at.lockfile)
			writeFileSync(at.path, '["another"]')
		}
		return push('first')(list)
	}
	const warned = []
	const onWarning = ({ kept }) => warned.push(JSON.parse(readFileSync(kept, 'utf8')))
	await Promise.all([
		documentAt(at, lists).update(takeLockAway, PATIENT),
		documentAt(at, lines, { onWarning }).update(push('second'), PATIENT),
	])
	assert.deepEqual([runs, at.text()], [2, '#\nsecond'])
	assert.deepEqual(warned, [['another', 'first']])
})

test('a save that is aborted while the update before it is written writes nothing', async (t) => {
	const at = folder(t)
	const aborter = new AbortController()
	const addAndAbort = (list) => {
		// By then the save waits for the result of the update to be written.
		setImmediate(() => aborter.abort())
		return push('a')(list)
	}
	const first = documentAt(at, lists).update(addAndAbort, PATIENT)
	const second = documentAt(at, lines).save(['b'], { ...PATIENT, signal: aborter.signal })
	await assert.rejects(second, { code: 'ABORTED' })
	await first
	assert.deepEqual(at.json(), ['a'])
	assert.deepEqual(at.others(), [])
})

test('a save writes what the value was at the time of the call', async (t) => {
	const at = folder(t)
	const document = documentAt(at, lines)
	const list = ['a']
	const saved = document.save(list, PATIENT)
	list.push('b')
	await saved
	assert.equal(at.text(), '#\na')
	await document.withLock(async (lock) => {
		lock.write(list)
		list.push('c')
	}, PATIENT)
	assert.equal(at.text(), '#\na\nb')
})

test('a format is the caller’s code: a sync update from inside of it is refused, not waited for', async (t) => {
	const at = folder(t)
	const nested = []
	const inner = documentAt(at, lists)
	const tryToUpdate = () => {
		try {
			inner.updateSync(same, { timeoutMs: 100 })
		} catch ({ code }) {
			nested.push(code)
		}
	}
	const document = documentAt(at, {
		decode: (text) => {
			tryToUpdate()
			return JSON.parse(text)
		},
		encode: (list) => {
			tryToUpdate()
			return JSON.stringify(list)
		},
		empty: () => [],
	})
	for (const update of Object.values(updates)) {
		at.put('["a"]')
		nested.length = 0
		await update(document, push('b'))
		assert.deepEqual(nested, ['RE_ENTRANT', 'RE_ENTRANT'])
		assert.equal(at.text(), '["a","b"]')
	}
})

test('4 processes x 50 increments of a number, two at a time in each: the exact count', async (t) => {
	const at = folder(t)
	const marker = `${at.path}.marker`
	const all = puppets(t, 4)
	const details = { path: at.path, times: 25, marker }
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
