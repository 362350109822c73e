// The messages of the errors that lib/ makes itself: each says what is wrong, with the argument and what was given,
// and after a semicolon what to do. Those of the core are tested beside it.

import assert from 'node:assert/strict'
import { AsyncResource } from 'node:async_hooks'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { failureOf } from '../support/failures.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { held, leaveOldLockfile } from '../support/locks.mjs'
import { run } from '../support/script.mjs'
import { same } from '../support/updaters.mjs'

const lib = fileURLToPath(new URL('../../lib/', import.meta.url))
const require = createRequire(import.meta.url)
/** The modules, not the bundle: the stack of an error tells which line made it. */
const registry = require('../../lib/index.js')
const native = require('../../lib/addon/load.js')
const { containPanics } = require('../../lib/addon/panics.js')
const { Document, updateRegistry, updateRegistrySync, withRegistryLock } = registry

/** The functions that make an error for their callers. */
const MAKERS = ['invalid', 'invalidArgument', 'wrongArgument', 'reEntrant']

const isMakersOwn = (lines, at) =>
	lines
		.slice(Math.max(0, at - 2), at + 1)
		.some((line) => MAKERS.some((maker) => line.startsWith(`const ${maker} = `)))

/** Each place of lib/ that makes an error: its file and line. */
const places = () => {
	const making = new RegExp(
		`\\b(?:new (?:RegistryError|DeclaredError)|(?<!const )(?:${MAKERS.join('|')}))\\(`,
	)
	/** It makes errors of what the addon says. */
	const isTranslation = (line) => line.includes('new DeclaredError(failure.code')
	return readdirSync(lib, { recursive: true })
		.filter((name) => name.endsWith('.js'))
		.flatMap((name) => {
			const lines = readFileSync(join(lib, name), 'utf8').split('\n')
			return lines.flatMap((line, at) =>
				making.test(line) && !isMakersOwn(lines, at) && !isTranslation(line)
					? [`${name.replaceAll('\\', '/')}:${at + 1}`]
					: [],
			)
		})
		.sort()
}

/** The place of lib/ that has made an error. */
const placeOf = ({ stack }) => {
	const frames = stack.matchAll(/at (?:new )?([\w.]*).*?\(?((?:[A-Z]:)?[^():\s]+):(\d+):\d+\)?$/gm)
	for (const [, name, file, line] of frames) {
		if (name === 'RegistryError' || MAKERS.includes(name)) continue
		return `${relative(lib, file).replaceAll('\\', '/')}:${line}`
	}
	return undefined
}

const circular = { id: 'a' }
circular.itself = circular
/** Prints as a registry that it is not. */
const printing = { ...EMPTY, toJSON: () => 7 }
const claim = { id: 'a', pid: 1, startedAt: 1 }
const withEncode = (at, encode) => new Document(at.path, { empty: () => 0, encode })
const decoded = (at, decode) => new Document(at.path, { decode }).updateSync(same)
/** A call while an update of this thread is in its updater. */
const beside = async (at, call) => {
	const { settle, done } = await held(at)
	try {
		await call()
	} finally {
		settle()
		await done
	}
}

/**
 * What provokes each error: what its message names, with what was given, and the call. Without a call's own
 * argument the message names what the caller did.
 */
const PROVOKED = [
	['timeoutMs is -1', (at) => updateRegistry(at.path, same, { timeoutMs: -1 })],
	["durable is 'no'", (at) => updateRegistry(at.path, same, { durable: 'no' })],
	['updater is 7', (at) => updateRegistry(at.path, 7)],
	['fn is undefined', (at) => withRegistryLock(at.path)],
	["onCorrupt is 'lose'", (at) => updateRegistry(at.path, same, { onCorrupt: 'lose' })],
	['signal is {}', (at) => updateRegistry(at.path, same, { signal: {} })],
	['now is NaN', (at) => registry.removeWatcher(at.path, 'a', { now: Number.NaN })],
	[
		'intervalMs is 0',
		(at) => registry.startRegistryHeartbeat(at.path, same, { intervalMs: 0 }).stop(),
	],
	['options is null', (at) => updateRegistry(at.path, same, null)],
	["option 'timeout'", (at) => updateRegistry(at.path, same, { timeout: 1 })],
	["option 'retries'", (at) => updateRegistry(at.path, same, { retries: 1 })],
	['path is 7', () => updateRegistry(7, same)],
	["lockPath is ''", () => registry.tryLockShared('')],
	['path is https://example.org/', () => updateRegistry(new URL('https://example.org'), same)],
	['store of etcd://host:2379/argus', () => new Document('etcd://host:2379/argus')],
	["path is the string 'file:///x'", () => updateRegistry('file:///x', same)],
	['version is 1.5', (at) => new Document(at.path, { version: 1.5 })],
	["'b' was given", (at) => new Document(at.path, { lock: 'registry', lockFile: 'b' })],
	['watcher is null', (at) => registry.announceWatcher(at.path, null)],
	['entry is { pid: 1 }', (at) => registry.removeWatcher(at.path, { pid: 1 })],
	['circular', (at) => registry.announceWatcher(at.path, circular)],
	[
		'tags is an object of the class Set',
		(at) => registry.announceWatcher(at.path, { ...claim, tags: new Set() }),
	],
	[
		'getWatcher returned undefined',
		async (at) => {
			let heartbeat
			const error = await new Promise((onError) => {
				const options = { intervalMs: 1, onError, keepAlive: true }
				heartbeat = registry.startRegistryHeartbeat(at.path, () => undefined, options)
			})
			await heartbeat.stop()
			throw error
		},
	],
	['decode returned a promise', (at) => decoded(at, async () => 0)],
	[
		'schema version 2',
		(at) => new Document(at.path, { version: 1 }).updateSync(() => ({ version: 2 })),
	],
	['new value', (at) => withEncode(at, () => assert.fail('no')).updateSync(() => 1)],
	['new value undefined', (at) => withEncode(at).updateSync(() => undefined)],
	['new value 7 was encoded as 8', (at) => withEncode(at, () => 8).updateSync(() => 7)],
	['new value [Function: same]', (at) => withEncode(at).updateSync(() => same)],
	['new value, it is an object of the class Map', (at) => withEncode(at).save(new Map())],
	["half a surrogate pair ('\\u", (at) => withEncode(at, () => '\ud800').updateSync(() => 7)],
	['new value undefined', (at) => updateRegistrySync(at.path, () => undefined)],
	['new value { version: 2', (at) => registry.writeRegistry(at.path, { ...EMPTY, version: 2 })],
	['new value', (at) => registry.writeRegistry(at.path, { ...EMPTY, watchers: { a: circular } })],
	['new value', (at) => registry.writeRegistry(at.path, printing)],
	[
		'watchers.a is a function',
		(at) => registry.writeRegistry(at.path, { ...EMPTY, watchers: { a: same } }),
	],
	['updater returned a promise', (at) => updateRegistrySync(at.path, async (value) => value)],
	[
		'the call is over',
		async (at) => {
			const lock = await withRegistryLock(at.path, same)
			await lock.write(EMPTY)
		},
	],
	['is being updated', (at) => updateRegistry(at.path, () => updateRegistry(at.path, same))],
	[
		'in a synchronous update',
		(at) => {
			const outside = new AsyncResource('test')
			updateRegistrySync(at.path, () =>
				outside.runInAsyncScope(() => updateRegistrySync(at.path, same)),
			)
		},
	],
	['in an asynchronous update', (at) => beside(at, () => updateRegistrySync(at.path, same))],
	[
		'is locked by process',
		(at) => beside(at, () => updateRegistry(at.path, same, { timeoutMs: 0 })),
	],
	[
		'still after 0.02 s',
		(at) => beside(at, () => updateRegistry(at.path, same, { timeoutMs: 20 })),
	],
	[
		'wait for it, too',
		async (at) => {
			leaveOldLockfile(at, 0)
			const first = updateRegistry(at.path, same, { timeoutMs: 200 })
			first.catch(() => {})
			try {
				await updateRegistry(at.path, same, { timeoutMs: 20 })
			} finally {
				await failureOf(() => first)
			}
		},
	],
	[
		'emitted `exit`',
		(at) => {
			const { message, stack } = run(`
				const modules = createRequire(${JSON.stringify(join(lib, 'index.js'))})
				const { updateRegistrySync, withRegistryLock } = modules('./index.js')
				const path = ${JSON.stringify(at.path)}
				const written = withRegistryLock(path, async (lock) => {
					process.once('exit', () => updateRegistrySync(path, (value) => value))
					process.emit('exit', 0)
					await lock.write({ version: 1, updatedAt: 0, watchers: {} })
				})
				written.catch(({ message, stack }) => console.log(JSON.stringify({ message, stack })))`)
			throw Object.assign(new Error(message), { stack })
		},
	],
	[
		'a defect of argus-registry: out of bounds',
		() => {
			const fail = () => {
				throw new Error('Panic in rust')
			}
			containPanics({ takePanic: () => 'out of bounds', fail }).fail()
		},
	],
	[
		'has ended by itself',
		async (at) => {
			const start = native.mirrorRegistry
			native.mirrorRegistry = () => ({ next: async () => null, stop: async () => null })
			try {
				throw await new Promise((resolve) => {
					registry.mirrorRegistry(`${at.path}.d/`, at.path, { onError: resolve })
				})
			} finally {
				native.mirrorRegistry = start
			}
		},
	],
]

/** The message of a watch that its caller has aborted; it needs no step. */
const aborted = (at) => registry.watchRegistry(at.path, { signal: AbortSignal.abort() }).next()

test('each error that lib/ makes names what was given, and ends in one step', async (t) => {
	const made = new Set()
	for (const [given, provoke] of PROVOKED) {
		const at = folder(t)
		writeFileSync(at.path, print(EMPTY))
		const error = await failureOf(provoke, at)
		const { message } = error
		assert.ok(message.includes(given), `${message}: ${given}`)
		assert.doesNotMatch(message, /\n|[.;:,]$/)
		const [problem, step, ...more] = message.split('; ')
		assert.ok(problem.length > 0 && step?.length > 0 && more.length === 0, message)
		made.add(placeOf(error))
	}
	const end = await failureOf(aborted, folder(t))
	assert.match(end.message, /^the watch of .+ was aborted by its caller$/)
	made.add(placeOf(end))
	const never = places().filter((place) => !made.has(place))
	assert.deepEqual(never, [], 'no call above makes these')
	assert.deepEqual([...made].sort(), places())
})
