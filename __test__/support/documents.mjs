// Documents for tests, and the calls that they have.

import assert from 'node:assert/strict'
import { Document } from '../../index.js'

/** For calls that must not fail because the machine is slow. */
export const PATIENT = { timeoutMs: 60_000 }

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

/**
 * A document in the folder's file, under a registry's lock; content that can't be decoded is kept.
 */
export const documentAt = (at, format, options) =>
	new Document(at.path, {
		lock: 'registry',
		onCorrupt: 'keep',
		durable: false,
		...format,
		...options,
	})

export const same = (value) => value

export const push = (item) => (list) => [...list, item]

/** The calls that update, asynchronous and synchronous, as calls that return a promise. */
export const updates = {
	update: (document, updater) => document.update(updater, PATIENT),
	updateSync: async (document, updater) => document.updateSync(updater, PATIENT),
}

/** Every call that writes `value`. */
export const writes = (value) => ({
	update: (document) => document.update(() => value, PATIENT),
	updateSync: async (document) => document.updateSync(() => value, PATIENT),
	save: (document) => document.save(value, PATIENT),
	withLock: (document) => document.withLock((lock) => lock.write(value), PATIENT),
})

/** Every call that reads. */
export const loads = {
	load: (document) => document.load(PATIENT),
	loadSync: async (document) => document.loadSync(PATIENT),
}

/** The error that a promise rejects with. */
export const caught = (promise) =>
	promise.then(
		() => assert.fail('resolved'),
		(error) => error,
	)
