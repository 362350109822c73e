// A byte order mark, with which editors on Windows begin a text, is no corruption and stays.

import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	announceWatcher,
	Document,
	readRegistry,
	updateRegistry,
	withRegistryLock,
} from '../../index.js'
import { LOCKS, push } from '../support/documents.mjs'
import { folder, record } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { same } from '../support/updaters.mjs'

test('a byte order mark before a registry is no corruption and stays', async (t) => {
	const at = folder(t)
	await announceWatcher(at.path, record('a'))
	const onWarning = (warning) => assert.fail(warning.message)
	at.put(`\ufeff${at.text()}`)
	const update = (registry) => ({ ...registry, extra: 1 })
	await updateRegistry(at.path, update, { onWarning })
	await announceWatcher(at.path, record('b'), { onWarning })
	await withRegistryLock(at.path, async (lock) =>
		lock.write({ ...(await readRegistry(at.path)).registry, more: 2 }),
	)
	const { registry, warnings } = await readRegistry(at.path)
	const { watchers, extra, more } = registry
	assert.deepEqual(warnings, [])
	assert.deepEqual([Object.keys(watchers), extra, more], [['a', 'b'], 1, 2])
	assert.equal(at.text().codePointAt(0), 0xfeff)
	assert.equal(at.text().lastIndexOf('\ufeff'), 0)
	assert.deepEqual(at.others(), [])
})

test('a byte order mark before a document is no corruption and stays', async (t) => {
	const path = join(folder(t).dir, 'settings.json')
	writeFileSync(path, '\ufeff{"count":1}')
	const document = new Document(path)
	assert.deepEqual((await document.load()).value, { count: 1 })
	await document.update((value) => ({ count: value.count + 1 }))
	assert.equal(readFileSync(path, 'utf8'), '\ufeff{\n  "count": 2\n}')
})

for (const lock of LOCKS) {
	// Each update added one, until decode could not read the document.
	test(`${lock}: an encode that begins with a byte order mark makes one, however often, and decode gets none`, async (t) => {
		const at = folder(t)
		const document = new Document(at.path, {
			lock,
			durable: false,
			decode: (text) => {
				assert.equal(text.includes('\ufeff'), false)
				return JSON.parse(text)
			},
			encode: (list) => `\ufeff${JSON.stringify(list)}`,
			empty: () => [],
		})
		for (const item of [1, 2]) {
			await Promise.all([
				document.update(push(item), DOCUMENT_UP_TO_A_MINUTE),
				document.update(push(item), DOCUMENT_UP_TO_A_MINUTE),
				document.update(async (list) => push(item)(list), DOCUMENT_UP_TO_A_MINUTE),
			])
		}
		document.updateSync(push(3))
		await document.withLock(async (held) => {
			await held.write([4])
			await held.write([4, 5])
		}, DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(at.text(), '\ufeff[4,5]')
		assert.deepEqual((await document.load()).value, [4, 5])
		// Nothing has changed, so nothing is written.
		const before = statSync(at.path).ino
		await document.update(same, DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(statSync(at.path).ino, before)
	})
}
