// Files that are no registries: documents in batches, and beside documents that read the file in another
// way.

import assert from 'node:assert/strict'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import {
	documentIn,
	filesOf,
	LOCKS,
	lines,
	lists,
	noLitter,
	push,
	updates,
} from '../support/documents.mjs'
import { folder, print } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppets } from '../support/processes.mjs'
import { same } from '../support/updaters.mjs'

/** Documents of one file that note which of them is warned, and of what. */
const noting = (at, lock, warned) => (format, name) =>
	documentIn(at, lock, { ...format, onWarning: ({ kept }) => warned.push([name, kept]) })

for (const lock of LOCKS) {
	test(`${lock}: in a batch each document gets what it decodes from what another has printed`, async (t) => {
		const at = folder(t)
		at.put('["file"]')
		const seen = []
		const look = (list) => {
			seen.push(list)
			return push(seen.length)(list)
		}
		const asLists = documentIn(at, lock, lists)
		/** The same file as a set. */
		const asSets = documentIn(at, lock, {
			decode: (text) => new Set(JSON.parse(text)),
			encode: (set) => JSON.stringify([...set]),
			empty: () => new Set(),
		})
		await Promise.all([
			asLists.update(look, DOCUMENT_UP_TO_A_MINUTE),
			asSets.update((set) => set.add('set'), DOCUMENT_UP_TO_A_MINUTE),
			asSets.update((set) => set.add('set'), DOCUMENT_UP_TO_A_MINUTE),
			asLists.update(look, DOCUMENT_UP_TO_A_MINUTE),
			asSets.update(async (set) => set.add('async'), DOCUMENT_UP_TO_A_MINUTE),
			asLists.update(look, DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(seen, [['file'], ['file', 1, 'set'], ['file', 1, 'set', 2, 'async']])
		assert.deepEqual(at.json(), ['file', 1, 'set', 2, 'async', 3])
		noLitter(at, lock)
	})

	test(`${lock}: a batch of one document decodes once per updater, and a single update once`, async (t) => {
		const at = folder(t)
		at.put(print([]))
		let decoded = 0
		const document = documentIn(at, lock, {
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
		await Promise.all(
			Array.from({ length: 100 }, () => document.update(add, DOCUMENT_UP_TO_A_MINUTE)),
		)
		assert.equal(at.json().length, 102)
		// Once more per batch, to see whether the first one of it was changed in place.
		assert.ok(decoded <= 120, `${decoded} times`)
		decoded = 0
		await Promise.all(Array.from({ length: 100 }, () => document.save([], DOCUMENT_UP_TO_A_MINUTE)))
		assert.ok(decoded <= 20, `${decoded} times`)
	})

	test(`${lock}: a file may be corrupt for one document of a batch and fine for another`, async (t) => {
		const at = folder(t)
		const warned = []
		const of = noting(at, lock, warned)
		at.put('["fine"]')
		const settled = await Promise.all([
			// Corrupt for it, and it replaces nothing.
			of(lines, 'looks').update(same, DOCUMENT_UP_TO_A_MINUTE),
			of(lists, 'fine').update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(settled[0], [])
		assert.deepEqual(at.json(), ['fine', 'a'])
		assert.deepEqual(warned, [])
		noLitter(at, lock)

		await Promise.all([
			of(lines, 'replaces').update(push('b'), DOCUMENT_UP_TO_A_MINUTE),
			of(lines, 'adds').update(push('c'), DOCUMENT_UP_TO_A_MINUTE),
			of(lines, 'saves').save(['d'], DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.equal(at.text(), '#\nd')
		assert.equal(warned.length, 1)
		assert.equal(warned[0][0], 'replaces')
		assert.deepEqual(JSON.parse(readFileSync(warned[0][1], 'utf8')), ['fine', 'a'])
	})

	for (const kind of ['an update', 'a save']) {
		test(`${lock}: what one document has made of the file in a batch is kept when ${kind} by another finds it corrupt`, async (t) => {
			const at = folder(t)
			const warned = []
			const of = noting(at, lock, warned)
			const replace = {
				'an update': () => of(lines, 'lines').update(push('b'), DOCUMENT_UP_TO_A_MINUTE),
				'a save': () => of(lines, 'lines').save(['b'], DOCUMENT_UP_TO_A_MINUTE),
			}
			await Promise.all([
				of(lists, 'lists').update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
				replace[kind](),
				of(lines, 'lines again').update(push('c'), DOCUMENT_UP_TO_A_MINUTE),
				of(lists, 'lists').update(push('d'), DOCUMENT_UP_TO_A_MINUTE),
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

	test(`${lock}: a document that refuses corrupt content refuses what another has made of the file in a batch`, async (t) => {
		const at = folder(t)
		const settled = await Promise.allSettled([
			documentIn(at, lock, lists).update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
			documentIn(at, lock, { ...lines, onCorrupt: 'fail' }).update(
				push('b'),
				DOCUMENT_UP_TO_A_MINUTE,
			),
			documentIn(at, lock, lists).update(push('c'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(
			settled.map(({ reason }) => reason?.code),
			[undefined, 'PARSE', undefined],
		)
		assert.deepEqual(at.json(), ['a', 'c'])
		noLitter(at, lock)
	})

	test(`${lock}: an updater that was given what was lost with the lock runs again, on what is in the file`, async (t) => {
		const at = folder(t)
		at.put('[]')
		let runs = 0
		const rob = (list) => {
			runs += 1
			if (runs === 1) {
				// What an old argus does that takes the lock for stale, or a person to a lock file.
				unlinkSync(lock === 'registry' ? at.lockfile : `${at.dir}/${filesOf(at, lock)[1]}`)
				writeFileSync(at.path, '["another"]')
			}
			return push('first')(list)
		}
		const warned = []
		const onWarning = ({ kept }) => warned.push(JSON.parse(readFileSync(kept, 'utf8')))
		await Promise.all([
			documentIn(at, lock, lists).update(rob, DOCUMENT_UP_TO_A_MINUTE),
			documentIn(at, lock, { ...lines, onWarning }).update(push('second'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual([runs, at.text()], [2, '#\nsecond'])
		assert.deepEqual(warned, [['another', 'first']])
	})

	test(`${lock}: a save that is aborted while what was before it is written writes nothing`, async (t) => {
		const at = folder(t)
		const aborter = new AbortController()
		const addAndAbort = (list) => {
			// By then the second one waits for what the first has made to be written.
			setImmediate(() => aborter.abort())
			return push('a')(list)
		}
		const first = documentIn(at, lock, lists).update(addAndAbort, DOCUMENT_UP_TO_A_MINUTE)
		const { signal } = aborter
		const second = documentIn(at, lock, lines).save(['b'], { ...DOCUMENT_UP_TO_A_MINUTE, signal })
		await assert.rejects(second, { code: 'ABORTED' })
		await first
		assert.deepEqual(at.json(), ['a'])
		noLitter(at, lock)
	})

	test(`${lock}: writes are of what a value was at the time of the call`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, lines)
		const list = ['a']
		const saved = document.save(list, DOCUMENT_UP_TO_A_MINUTE)
		list.push('b')
		await saved
		assert.equal(at.text(), '#\na')
		await document.withLock(async (held) => {
			held.write(list)
			list.push('c')
		}, DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(at.text(), '#\na\nb')
	})

	test(`${lock}: decode and encode are caller’s code: a sync update from inside of them is refused, not waited for`, async (t) => {
		const at = folder(t)
		const nested = []
		const inner = documentIn(at, lock, lists)
		const tryIt = () => {
			try {
				inner.updateSync(same, { timeoutMs: 100 })
			} catch ({ code }) {
				nested.push(code)
			}
		}
		const document = documentIn(at, lock, {
			decode: (text) => {
				tryIt()
				return JSON.parse(text)
			},
			encode: (list) => {
				tryIt()
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

	test(`${lock}: 4 processes x 50 increments of a number, two at a time in each: the exact count`, async (t) => {
		const at = folder(t)
		const marker = `${at.path}.marker`
		const all = puppets(t, 4)
		const details = { path: at.path, times: 25, marker, options: { lock, durable: false } }
		for (const each of all) {
			each.start('incrementNumber', details)
			each.start('incrementNumber', details)
		}
		for (const each of all) {
			await each.expect('done')
			await each.expect('done')
		}
		assert.equal(at.text(), '200')
		noLitter(at, lock)
	})
}
