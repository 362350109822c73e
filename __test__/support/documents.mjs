// Documents for tests, and the calls that read and write one.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { Document } from '../../index.js'
import { folder } from './folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from './options.mjs'

/** Both kinds of lock that a document may have. */
export const LOCKS = ['lock-file', 'registry']

export const push = (item) => (list) => [...list, item]

/** Any JSON. */
export const lists = { empty: () => [] }

/** Not JSON: one line per item. */
export const lines = {
	decode: (text) => {
		if (!text.startsWith('#')) throw new Error('no header')
		return text.split('\n').slice(1)
	},
	encode: (list) => ['#', ...list].join('\n'),
	empty: () => [],
}

/** A document on the file of a test's folder; its updates keep what they can't decode. */
export const documentIn = (at, lock, options) =>
	new Document(at.path, { lock, durable: false, onCorrupt: 'keep', ...options })

/** The same update, asynchronous and synchronous. */
export const updates = {
	update: (document, updater, options = DOCUMENT_UP_TO_A_MINUTE) =>
		document.update(updater, options),
	updateSync: async (document, updater, options = DOCUMENT_UP_TO_A_MINUTE) =>
		document.updateSync(updater, options),
}

/** Every call that writes `value`. */
export const writes = (value) => ({
	update: (document, options = DOCUMENT_UP_TO_A_MINUTE) => document.update(() => value, options),
	updateSync: async (document, options = DOCUMENT_UP_TO_A_MINUTE) =>
		document.updateSync(() => value, options),
	save: (document, options = DOCUMENT_UP_TO_A_MINUTE) => document.save(value, options),
	withLock: (document, options = DOCUMENT_UP_TO_A_MINUTE) =>
		document.withLock((lock) => lock.write(value), options),
})

/** Every call that reads. */
export const loads = {
	load: (document, options = DOCUMENT_UP_TO_A_MINUTE) => document.load(options),
	loadSync: async (document, options = DOCUMENT_UP_TO_A_MINUTE) => document.loadSync(options),
}

/** What a load of `value` resolves with: readers of a registry's lock take none. */
export const loaded = (lock, value) => ({ value, locked: lock === 'lock-file' })

/** The names of the file of a test's folder and of the files that its lock leaves beside it. */
export const filesOf = (at, lock) => {
	const name = basename(at.path)
	return [name, lock === 'registry' ? `${name}.guard` : name.replace(/\.[^.]*$/, '.lock')]
}

export const namesIn = (at) => readdirSync(at.dir).sort()

/** Fails if there is anything in the folder but the document and its lock. */
export const noLitter = (at, lock) => assert.deepEqual(namesIn(at), filesOf(at, lock))

/** A test's folder for one document under a lock of this kind, removed with the test. */
export const documentFolder = (t, lock) => {
	const at = folder(t)
	return {
		...at,
		document: (options = lists) => documentIn(at, lock, options),
		files: () => filesOf(at, lock),
		names: () => namesIn(at),
		noLitter: () => noLitter(at, lock),
		loaded: (value) => loaded(lock, value),
	}
}
