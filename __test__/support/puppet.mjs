// A process that tests move by strings: it does what it is told, and says what it did.

import { closeSync, openSync, unlinkSync } from 'node:fs'
import { claimWatcher, Document, updateRegistry, updateRegistrySync } from '../../index.js'
import { updateWithOlderArgusLock } from './older-argus-lock.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from './options.mjs'

const say = (event, value) => process.send({ event, value })

/** Settled by the next message `settle`. */
let settle
const told = () => new Promise((resolve) => (settle = resolve))

/**
 * A witness that knows nothing of the lock: the marker is created exclusively inside the hold, so
 * a second hold at the same time fails.
 */
const witnessed = (marker, body) => {
	if (!marker) return body()
	closeSync(openSync(marker, 'wx'))
	const value = body()
	unlinkSync(marker)
	return value
}

const bump = (marker) => (registry) =>
	witnessed(marker, () => {
		registry.count = (registry.count ?? 0) + 1
		return registry
	})

const tasks = {
	increment: async ({ path, times, marker, options }) => {
		for (let i = 0; i < times; i += 1) await updateRegistry(path, bump(marker), options)
	},
	incrementSync: ({ path, times, marker, options }) => {
		for (let i = 0; i < times; i += 1) updateRegistrySync(path, bump(marker), options)
	},
	/** Increments a document that is nothing but a number. */
	incrementNumber: async ({ path, times, marker, options }) => {
		const document = new Document(path, { ...options, empty: () => 0 })
		const next = (number) => witnessed(marker, () => number + 1)
		for (let i = 0; i < times; i += 1) await document.update(next, DOCUMENT_UP_TO_A_MINUTE)
	},
	incrementForEver: async ({ path, options }) => {
		const document = new Document(path, { ...options, empty: () => 0 })
		for (;;) {
			await document.update((number) => number + 1, DOCUMENT_UP_TO_A_MINUTE)
			say('updated')
		}
	},
	/** Counts up in a document, as tests/fixtures/count_document.rs does. */
	countDocument: async ({ path, times, marker, options }) => {
		const empty = () => ({ count: 0, rust: 0, node: 0 })
		const document = new Document(path, { ...options, empty })
		const next = ({ count, rust, node }) =>
			witnessed(marker, () => ({ count: count + 1, rust, node: node + 1 }))
		say('ready')
		await told()
		for (let i = 0; i < times; i += 1) {
			if (i % 4 === 3) document.updateSync(next, DOCUMENT_UP_TO_A_MINUTE)
			else await document.update(next, DOCUMENT_UP_TO_A_MINUTE)
		}
	},
	/** Holds the lock of a document until it is told to settle; then adds to its list. */
	holdDocument: async ({ path, options }) => {
		const document = new Document(path, { ...options, empty: () => [] })
		await document.update(async (list) => {
			say('holding')
			await told()
			return [...list, 'held']
		}, DOCUMENT_UP_TO_A_MINUTE)
	},
	incrementWithOlderArgusLock: async ({ path, times, marker, options }) => {
		for (let i = 0; i < times; i += 1) await updateWithOlderArgusLock(path, bump(marker), options)
	},
	/** Holds the lock until it is told to settle; then writes `value`, and entries. */
	hold: async ({ path, value, watchers = {}, options }) => {
		await updateRegistry(
			path,
			async (registry) => {
				say('holding')
				await told()
				return { ...registry, value, watchers: { ...registry.watchers, ...watchers } }
			},
			options,
		)
	},
	/** Says which id it got. */
	claim: async ({ path, watcher, options }) => {
		const { claim } = await claimWatcher(path, { ...watcher, pid: process.pid }, options)
		say('claimed', claim)
	},
	/** Holds the lock with a blocked event loop. */
	block: ({ path, value, ms, options }) =>
		updateRegistry(
			path,
			(registry) => {
				say('holding')
				Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
				return { ...registry, value }
			},
			options,
		),
	holdOlderArgusLock: async ({ path, options }) => {
		await updateWithOlderArgusLock(
			path,
			async (registry) => {
				say('holding')
				await told()
				return registry
			},
			options,
		)
	},
	forEver: async ({ path, options }) => {
		for (;;) {
			await updateRegistry(path, bump(), options)
			say('updated')
		}
	},
}

process.on('message', async ({ task, settle: now, ...details }) => {
	if (now) return settle()
	try {
		await tasks[task](details)
		say('done')
	} catch (error) {
		say('failed', { name: error.name, code: error.code, message: error.message })
	}
})
process.on('disconnect', () => process.exit())
