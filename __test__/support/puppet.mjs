// A process that tests move by strings: it does what it is told, and says what it did.

import { once } from 'node:events'
import { closeSync, openSync, unlinkSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import {
	claimWatcher,
	Document,
	heartbeatWatcher,
	mirrorRegistry,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
} from '../../index.js'
import { updateWithOlderArgusLock } from './older-argus-lock.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from './options.mjs'
import { packageFile } from './script.mjs'

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

/** Counts up in an entry. */
const countUp = (registry) => {
	const port = (registry.watchers.counter?.port ?? 0) + 1
	registry.watchers.counter = { id: 'counter', port, pid: 0 }
	return registry
}

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
	/** Says when it is ready, and then claims so many ids when it is told to, and says which. */
	claimMany: async ({ path, watcher, times, options }) => {
		say('ready')
		await told()
		const own = { ...watcher, pid: process.pid }
		const claims = Array.from({ length: times }, () => claimWatcher(path, own, options))
		say(
			'claimed',
			(await Promise.all(claims)).map(({ claim }) => claim.id),
		)
	},
	countUp: async ({ path, times, options }) => {
		for (let i = 0; i < times; i += 1) await updateRegistry(path, countUp, options)
	},
	countUpSync: ({ path, times, options }) => {
		for (let i = 0; i < times; i += 1) updateRegistrySync(path, countUp, options)
	},
	/** Holds the lock until it is told to settle; then adds an entry. */
	holdEntries: async ({ path, options }) => {
		await updateRegistry(
			path,
			async (registry) => {
				say('holding')
				await told()
				registry.watchers.held = {}
				return registry
			},
			options,
		)
	},
	/** Holds the registry's lock until it is told to settle; then writes an entry. */
	holdLock: async ({ path, options }) => {
		await withRegistryLock(
			path,
			async (lock) => {
				say('holding')
				await told()
				await lock.write({ version: 1, updatedAt: 1, watchers: { held: {} } })
			},
			options,
		)
	},
	/** Claims in a worker thread, which then ends. */
	claimInWorker: async ({ path, watcher }) => {
		const text = `
			const { claimWatcher } = require(${JSON.stringify(packageFile)})
			const { parentPort, workerData: [path, watcher] } = require('node:worker_threads')
			claimWatcher(path, watcher).then(({ claim }) => parentPort.postMessage(claim))`
		const workerData = [path, { ...watcher, pid: process.pid }]
		const worker = new Worker(text, { eval: true, workerData })
		const [claim] = await once(worker, 'message')
		await worker.terminate()
		say('claimed', claim)
	},
	/** Renews a claim, and says whether it was there. */
	renew: async ({ path, entry }) => say('renewed', await heartbeatWatcher(path, entry)),
	/** Mirrors a registry to a file until it is told to settle. */
	mirror: async ({ path, file }) => {
		const mirror = mirrorRegistry(path, file)
		say('started')
		if (await mirror.working) say('works')
		await told()
		await mirror.stop()
	},
	/** Ends with the claims that it holds. */
	exit: () => process.exit(),
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
