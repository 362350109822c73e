// Reads inside of an updater whose batch has made something of the file that is not written yet. They read the file:
// an updater that started from what it read undid the updates before it, which were acknowledged.

import assert from 'node:assert/strict'
import { symlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Document, readRegistry, readRegistrySync, updateRegistry } from '../../index.js'
import { documentIn, LOCKS, loaded, push } from '../support/documents.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE, UP_TO_A_MINUTE } from '../support/options.mjs'
import { skipIf } from '../support/skip.mjs'

for (const lock of LOCKS) {
	test(`${lock}: a load inside of an updater finds what the updates before it have made`, async (t) => {
		const at = folder(t)
		at.put('{"n":0}')
		const document = documentIn(at, lock, {})
		const seen = []
		const count = ({ n }) => ({ n: n + 1 })
		const note = (found) => {
			seen.push(found)
			return count(found.value)
		}
		const updaters = [
			count,
			count,
			// Another object for the file, which reads it as its own codec does.
			() => note(documentIn(at, lock, { decode: JSON.parse }).loadSync()),
			count,
			async () => note(await document.load()),
			count,
		]
		await Promise.all(updaters.map((each) => document.update(each, DOCUMENT_UP_TO_A_MINUTE)))
		assert.equal(at.json().n, updaters.length)
		assert.deepEqual(
			seen,
			[2, 4].map((n) => loaded(lock, { n })),
		)
	})

	test(`${lock}: a load finds that the updates before it have made the file`, async (t) => {
		const at = folder(t)
		const document = documentIn(at, lock, { empty: () => [] })
		const loadAndPush = async () => push('b')((await document.load()).value)
		await Promise.all([
			document.update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
			document.update(loadAndPush, DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual(at.json(), ['a', 'b'])
	})
}

test('a load of another document under the lock reads its own file', async (t) => {
	const at = folder(t)
	at.put('["first"]')
	const lockFile = `${at.dir}/both.lock`
	const [one, other] = ['registry.json', 'other.json'].map(
		(name) => new Document(`${at.dir}/${name}`, { lockFile, durable: false }),
	)
	await other.save(['second'])
	const seen = []
	const look = (list) => {
		seen.push(other.loadSync().value)
		return push(1)(list)
	}
	await Promise.all([1, 2].map(() => one.update(look, DOCUMENT_UP_TO_A_MINUTE)))
	assert.deepEqual(seen, [['second'], ['second']])
})

test('what was started inside of an updater reads the file when the updater is over', async (t) => {
	const at = folder(t)
	at.put('[]')
	const document = documentIn(at, 'registry', {})
	let goOn
	const isOver = new Promise((resolve) => {
		goOn = resolve
	})
	let later
	const startAndPush = (list) => {
		later = isOver.then(() => document.loadSync())
		return push('b')(list)
	}
	await Promise.all([
		document.update(push('a'), DOCUMENT_UP_TO_A_MINUTE),
		document.update(startAndPush, DOCUMENT_UP_TO_A_MINUTE),
		document.update(push('c'), DOCUMENT_UP_TO_A_MINUTE),
	])
	at.put('["later"]')
	goOn()
	assert.deepEqual((await later).value, ['later'])
})

test('a read of a registry inside of its updater finds what the updates before it have made', {
	skip: skipIf(process.platform === 'win32', 'symbolic links take a privilege'),
}, async (t) => {
	const at = folder(t)
	at.put(print({ ...EMPTY, n: 0 }))
	const link = `${at.dir}/link.json`
	symlinkSync(at.path, link)
	const count = (registry) => ({ ...registry, n: registry.n + 1 })
	const updaters = [
		count,
		() => count(readRegistrySync(link).registry),
		count,
		async () => count((await readRegistry(at.path)).registry),
	]
	await Promise.all(updaters.map((each) => updateRegistry(at.path, each, UP_TO_A_MINUTE)))
	assert.equal(at.json().n, updaters.length)
})

test('a read of a registry in a folder inside of its updater does, too', async (t) => {
	const at = folder(t)
	const path = `${at.dir}/registry/`
	const add = (id) => (registry) => ({
		...registry,
		watchers: { ...registry.watchers, [id]: record(id) },
	})
	await Promise.all([
		updateRegistry(path, add('a'), UP_TO_A_MINUTE),
		updateRegistry(path, add('b'), UP_TO_A_MINUTE),
		updateRegistry(path, async () => add('c')((await readRegistry(path)).registry), UP_TO_A_MINUTE),
	])
	assert.deepEqual(Object.keys(readRegistrySync(path).registry.watchers).sort(), ['a', 'b', 'c'])
})
