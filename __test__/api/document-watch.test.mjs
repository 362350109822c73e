// Watching a document: its values, and what stands in for content that has none.

import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Document } from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import {
	documentFolder,
	filesOf,
	LOCKS,
	lines,
	lists,
	namesIn,
	push,
} from '../support/documents.mjs'
import { caught } from '../support/failures.mjs'
import { folder, print } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet } from '../support/processes.mjs'
import { replace } from '../support/watching.mjs'

/** A watch, closed with the test, and how to get its next value. */
const watching = (t, document, options) => {
	const watch = document.watch(options)
	cleanUp(t, () => watch.return())
	return async () => {
		const { done, value } = await watch.next()
		assert.equal(done, false)
		return value
	}
}

for (const lock of LOCKS) {
	test(`${lock}: a watch delivers each value, whichever way the file gets it, and makes nothing`, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document(lines)
		const next = watching(t, document)
		assert.deepEqual(await next(), [])
		assert.deepEqual(at.names(), [])
		await document.update(push('a'), DOCUMENT_UP_TO_A_MINUTE)
		assert.deepEqual(await next(), ['a'])
		document.updateSync(push('b'))
		assert.deepEqual(await next(), ['a', 'b'])
		await document.save(['c'])
		assert.deepEqual(await next(), ['c'])
		replace(at.path, '#\nd')
		assert.deepEqual(await next(), ['d'])
		// The same content is no change.
		await document.save(['d'])
		unlinkSync(at.path)
		assert.deepEqual(await next(), [])
		await document.withLock((held) => held.write(['e']), DOCUMENT_UP_TO_A_MINUTE)
		assert.deepEqual(await next(), ['e'])
		at.noLitter()
	})

	test(`${lock}: a watch sees what another process writes`, async (t) => {
		const at = documentFolder(t, lock)
		const next = watching(t, at.document())
		assert.deepEqual(await next(), [])
		const holder = puppet(t)
		holder.start('holdDocument', { path: at.path, options: { lock, durable: false } })
		await holder.expect('holding')
		holder.settle()
		await holder.expect('done')
		assert.deepEqual(await next(), ['held'])
	})
}

for (const onCorrupt of ['fail', 'keep']) {
	test(`onCorrupt: '${onCorrupt}': a watch delivers the empty value for what can't be decoded, with a warning`, async (t) => {
		const at = folder(t)
		const warned = []
		const onWarning = (warning) => warned.push(warning)
		at.put('corrupt')
		const document = new Document(at.path, { ...lists, onCorrupt, onWarning, version: 1 })
		const next = watching(t, document)
		assert.deepEqual(await next(), [])
		const [{ code, path, message, kept }] = warned.splice(0)
		assert.deepEqual([code, path, kept], ['CORRUPT', at.path, undefined])
		assert.match(message, /is not a readable document \(.+\); reading it as empty/)
		replace(at.path, '["a"]')
		assert.deepEqual(await next(), ['a'])
		replace(at.path, '{"version":2}')
		assert.deepEqual(await next(), [])
		const [other] = warned.splice(0)
		assert.deepEqual([other.code, other.path], ['UNSUPPORTED_VERSION', at.path])
		assert.match(other.message, /has schema version 2, not 1/)
		replace(at.path, Buffer.from([0xff]))
		// Another content: it is delivered anew, though its value is equal.
		assert.deepEqual(await next(), [])
		assert.match(warned.splice(0)[0].message, /its bytes are not UTF-8/)
		// A missing file is a state like any other.
		unlinkSync(at.path)
		replace(at.path, '["b"]')
		while ((await next()).length === 0);
		assert.deepEqual(warned, [])
		assert.deepEqual(namesIn(at), ['registry.json'])
	})
}

test('a warning goes to the watch’s onWarning, else to the document’s, else to the process', async (t) => {
	const at = folder(t)
	at.put('corrupt')
	const warned = []
	const onWarning = (who) => () => warned.push(who)
	const document = new Document(at.path, { ...lists, onWarning: onWarning('document') })
	await watching(t, document, { onWarning: onWarning('watch') })()
	await watching(t, document, {})()
	await watching(t, document, { onWarning: undefined, signal: undefined })()
	await watching(t, document)()
	assert.deepEqual(warned, ['watch', 'document', 'document', 'document'])
	const told = new Promise((resolve) => process.once('warning', resolve))
	await watching(t, new Document(at.path, lists))()
	const { name, code } = await told
	assert.deepEqual({ name, code }, { name: 'RegistryWarning', code: 'CORRUPT' })
})

test('without an empty value a watch ends with the error of what is there', async (t) => {
	const at = folder(t)
	const warned = []
	const onWarning = (warning) => warned.push(warning)
	const document = new Document(at.path, { version: 1, onCorrupt: 'keep', onWarning })
	const contents = {
		NOT_FOUND: undefined,
		PARSE: 'corrupt',
		UNSUPPORTED_VERSION: '{"version":2}',
	}
	for (const [code, text] of Object.entries(contents)) {
		// At its beginning, and after a value.
		for (const values of [0, 1]) {
			at.put('[1]')
			const watch = document.watch()
			if (values > 0) assert.deepEqual((await watch.next()).value, [1])
			if (text === undefined) unlinkSync(at.path)
			else replace(at.path, text)
			const error = await caught(watch.next())
			assert.deepEqual([error.name, error.code, error.path], ['RegistryError', code, at.path])
			assert.deepEqual(await watch.next(), { done: true, value: undefined })
		}
	}
	assert.deepEqual(warned, [])
})

test('what empty throws ends a watch, and so do an abort and its return', async (t) => {
	const at = folder(t)
	const mine = new Error('mine')
	const empty = () => {
		throw mine
	}
	assert.equal(await caught(new Document(at.path, { empty }).watch().next()), mine)
	const document = new Document(at.path, lists)
	const aborter = new AbortController()
	const watch = document.watch({ signal: aborter.signal })
	assert.deepEqual((await watch.next()).value, [])
	const waiting = caught(watch.next())
	aborter.abort('mine')
	const { code, path, cause } = await waiting
	assert.deepEqual([code, path, cause], ['ABORTED', at.path, 'mine'])
	await document.save(['a'])
	for await (const value of document.watch()) {
		assert.deepEqual(value, ['a'])
		break
	}
})

test('a watch follows the path that the document had at construction, and the links in it', async (t) => {
	const at = folder(t)
	mkdirSync(join(at.dir, 'one'))
	mkdirSync(join(at.dir, 'two'))
	const before = process.cwd()
	process.chdir(at.dir)
	const document = new Document('link/config.json', lists)
	process.chdir(before)
	symlinkSync('one', join(at.dir, 'link'))
	await document.save(['one'])
	const next = watching(t, document)
	assert.deepEqual(await next(), ['one'])
	replace(join(at.dir, 'two', 'config.json'), print(['two']))
	unlinkSync(join(at.dir, 'link'))
	symlinkSync('two', join(at.dir, 'link'))
	let value
	do value = await next()
	while (value.length === 0)
	assert.deepEqual(value, ['two'])
	await document.update(push('more'), DOCUMENT_UP_TO_A_MINUTE)
	assert.deepEqual(await next(), ['two', 'more'])
	assert.equal(document.lockPath(), join(at.dir, 'two', filesOf({ path: 'config.json' })[1]))
})
