// Files and values that are too large: typed errors, at once, and with nothing written.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { statSync, symlinkSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	announceWatcher,
	Document,
	heartbeatWatcher,
	pruneStaleWatchers,
	readRegistry,
	readRegistrySync,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { documentIn, LOCKS, lists, push } from '../support/documents.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { skipIf } from '../support/skip.mjs'

/** As docs/reference/files.md says. */
const LIMIT = 64 * 1024 * 1024

const large = 'x'.repeat(LIMIT)

const skip = skipIf(process.platform === 'win32', 'needs a FIFO and /dev')

const quick = { ...DOCUMENT_UP_TO_A_MINUTE, durable: false }

/** Every call that reads a registry's file. */
const calls = {
	readRegistry: (path) => readRegistry(path),
	readRegistrySync: async (path) => readRegistrySync(path),
	watchRegistry: (path) => watchRegistry(path).next(),
	updateRegistry: (path) => updateRegistry(path, (registry) => registry, quick),
	updateRegistrySync: async (path) => updateRegistrySync(path, (registry) => registry, quick),
	writeRegistry: (path) => writeRegistry(path, EMPTY, quick),
	withRegistryLock: (path) => withRegistryLock(path, (lock) => lock.write(EMPTY), quick),
	announceWatcher: (path) => announceWatcher(path, record('a'), quick),
	heartbeatWatcher: (path) => heartbeatWatcher(path, 'a', quick),
	pruneStaleWatchers: (path) => pruneStaleWatchers(path, quick),
	'Document.load': (path) => new Document(path, { lock: 'registry' }).load(),
	'Document.loadSync': async (path) => new Document(path, { lock: 'registry' }).loadSync(),
	'Document.update': (path) => new Document(path, { lock: 'registry' }).update((value) => value),
	'Document.save': (path) => new Document(path, { lock: 'registry' }).save(EMPTY),
}

test('a file of over 64 MiB is not read, and stays', async (t) => {
	for (const size of [LIMIT + 1, 2 ** 40]) {
		const at = folder(t)
		at.put('')
		truncateSync(at.path, size)
		for (const [name, call] of Object.entries(calls)) {
			await assert.rejects(
				call(at.path),
				{ name: 'RegistryError', code: 'TOO_LARGE', path: at.path },
				name,
			)
		}
		assert.equal(statSync(at.path).size, size)
		assert.deepEqual(at.others(), [])
	}
})

test('a file of 64 MiB is read', async (t) => {
	const at = folder(t)
	at.put(`${print(EMPTY)}${' '.repeat(LIMIT - print(EMPTY).length)}`)
	assert.deepEqual((await readRegistry(at.path)).warnings, [])
})

test('what never ends is not read', { skip }, async (t) => {
	const at = folder(t)
	const names = { zeros: '/dev/zero', fifo: join(at.dir, 'fifo') }
	execFileSync('mkfifo', [names.fifo])
	for (const [name, target] of Object.entries(names)) {
		const path = join(at.dir, `${name}.json`)
		symlinkSync(target, path)
		for (const call of Object.values(calls)) await assert.rejects(call(path), { code: 'IO' }, name)
	}
})

test('a value that prints larger is not written, and fails alone', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const add = (key, value) => (registry) => ({ ...registry, [key]: value })
	const settled = await Promise.allSettled([
		updateRegistry(at.path, add('a', 1), quick),
		updateRegistry(at.path, add('b', large), quick),
		writeRegistry(at.path, { ...EMPTY, large }, quick),
		updateRegistry(at.path, add('c', 3), quick),
		announceWatcher(at.path, record('w', { large }), quick),
		withRegistryLock(at.path, (lock) => lock.write({ ...EMPTY, large }), quick),
	])
	const codes = settled.map(({ reason }) => reason?.code)
	assert.deepEqual(codes, [
		undefined,
		'TOO_LARGE',
		'TOO_LARGE',
		undefined,
		'TOO_LARGE',
		'TOO_LARGE',
	])
	assert.throws(() => updateRegistrySync(at.path, add('d', large), quick), { code: 'TOO_LARGE' })
	assert.deepEqual(at.json(), { ...EMPTY, a: 1, c: 3 })
	assert.deepEqual(at.others(), [])
	// Each character of this one takes three bytes.
	const wide = '\u20ac'.repeat(LIMIT / 3 + 1)
	await assert.rejects(updateRegistry(at.path, add('e', wide), quick), { code: 'TOO_LARGE' })
})

test('entry operations that make a registry larger together fail, and leave it', async (t) => {
	const at = folder(t)
	const half = 'x'.repeat(LIMIT / 2)
	await announceWatcher(at.path, record('a', { half }), quick)
	const before = statSync(at.path).size
	await assert.rejects(announceWatcher(at.path, record('b', { half }), quick), {
		code: 'TOO_LARGE',
	})
	assert.equal(statSync(at.path).size, before)
	assert.deepEqual(at.others(), [])
})

for (const lock of LOCKS) {
	test(`${lock}: a document's value that prints larger than a file or a string may be is refused`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, lists)
		await document.save([1], DOCUMENT_UP_TO_A_MINUTE)
		await assert.rejects(document.update(push(large), DOCUMENT_UP_TO_A_MINUTE), {
			code: 'TOO_LARGE',
		})
		await assert.rejects(document.save([large], DOCUMENT_UP_TO_A_MINUTE), { code: 'TOO_LARGE' })
		assert.throws(() => document.updateSync(push(large), DOCUMENT_UP_TO_A_MINUTE), {
			code: 'TOO_LARGE',
		})
		// Longer than a string of the engine can be.
		const endless = documentIn(at, lock, { ...lists, encode: () => 'x'.repeat(2 ** 30) })
		await assert.rejects(endless.update(push(2), DOCUMENT_UP_TO_A_MINUTE), {
			code: 'INVALID_VALUE',
		})
		assert.deepEqual(at.json(), [1])
	})
}
