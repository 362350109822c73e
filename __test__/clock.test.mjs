// Programs that test with mocked clocks and timers: calls go by the real ones, whenever the mocks came.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { cleanUp } from './support/cleanup.mjs'
import { folder } from './support/folder.mjs'
import { asCommand, importPackage } from './support/script.mjs'
import { skipIf } from './support/skip.mjs'

/** For a call that hangs. */
const TIMEOUT_MS = 60_000

/** Time stands still for whatever asks the global objects, and the modules that can be replaced. */
const replaced = `
	const stopped = () => ({ ref() {}, unref() {}, hasRef: () => true, refresh() {} })
	const fake = { setTimeout: stopped, setInterval: stopped, setImmediate: stopped }
	for (const name of ['clearTimeout', 'clearInterval', 'clearImmediate']) fake[name] = () => {}
	class FakeDate extends Date {
		static now() {
			return 7
		}
	}
	const { performance } = createRequire(import.meta.url)('node:perf_hooks')
	const hrtime = Object.assign(() => [0, 0], { bigint: () => 0n })
	const fakes = [
		[globalThis, { ...fake, Date: FakeDate, queueMicrotask: () => {} }],
		[timers, fake],
		[performance, { now: () => 0 }],
		[process, { hrtime }],
	]
	const originals = fakes.map(([object, functions]) =>
		Object.keys(functions).map((name) => [object, name, Object.getOwnPropertyDescriptor(object, name)]),
	)
	const mock = () => {
		for (const [object, functions] of fakes) {
			for (const [name, value] of Object.entries(functions)) {
				Object.defineProperty(object, name, { value, configurable: true, writable: true, enumerable: true })
			}
		}
	}
	const reset = () => {
		for (const [object, name, descriptor] of originals.flat()) {
			if (descriptor) Object.defineProperty(object, name, descriptor)
			else delete object[name]
		}
	}
	const now = 7
`

const nodeTest = `
	const { mock: mocks } = await import('node:test')
	const mock = () => mocks.timers.enable({ apis: ['setInterval', 'setTimeout', 'setImmediate', 'Date'], now: 7 })
	const reset = () => mocks.timers.reset()
	const now = 7
`

/** What a program does with the package; the waits among it are bounded. */
const use = `
	const { Document } = registry
	const count = (value) => ({ ...value, updatedAt: value.updatedAt + 1 })
	const codeOf = async (promise) => (await promise.catch((error) => error)).code

	/** How a wait ends whose lock never comes free, and when its holder took the lock. */
	const waits = {
		/** For an update of this thread. */
		queued: async (path) => {
			let release
			let held
			await new Promise((entered) => {
				const section = () => new Promise((resolve) => entered((release = resolve)))
				held = registry.withRegistryLock(path, section, QUICK)
			})
			const error = await registry.updateRegistry(path, count, SHORT).catch((thrown) => thrown)
			release()
			await held
			return error.code + ', held since ' + (error.holder.since > 1_000_000_000_000 ? 'now' : 'then')
		},
		/** For another holder. */
		foreign: async (path) => {
			await registry.updateRegistry(path, count, QUICK)
			const lock = registry.tryLockExclusive(path + '.guard')
			const code = await codeOf(registry.updateRegistry(path, count, SHORT))
			lock.release()
			return code
		},
		document: async (path) => {
			const lock = registry.tryLockExclusive(path + '.other.lock')
			const document = new Document(path + '.json', { empty: () => 0, lockFile: path + '.other.lock' })
			const code = await codeOf(document.update((n) => n + 1, SHORT))
			lock.release()
			return code
		},
	}

	const useAll = async (path) => {
		const done = []
		await registry.updateRegistry(path, count)
		await registry.updateRegistry(path, async (value) => count(value), QUICK)
		registry.updateRegistrySync(path, count, QUICK)
		await registry.writeRegistry(path, { version: 1, updatedAt: 1, watchers: {} }, QUICK)
		// So many that some wait for a turn of the event loop.
		for (let each = 0; each < 200; each++) await registry.updateRegistry(path, count, QUICK)
		done.push((await registry.readRegistry(path)).registry.updatedAt)
		for (const wait of Object.values(waits)) done.push(await wait(path))
		const document = new Document(path + '.doc.json', { empty: () => 0, durable: false })
		await Promise.all([1, 2].map(() => document.update((n) => n + 1, QUICK_DOCUMENT)))
		await document.save(5, QUICK_DOCUMENT)
		done.push((await document.load()).value)
		const watch = registry.watchRegistry(path)
		await watch.next()
		const changed = watch.next()
		const watcher = { id: 'app', host: '127.0.0.1', port: 1, pid: process.pid, startedAt: 1, updatedAt: 1 }
		await registry.announceWatcher(path, watcher, QUICK)
		done.push(Object.keys((await changed).value.watchers).join())
		await watch.return()
		let beats = 0
		await new Promise((resolve) => {
			const heartbeat = registry.startRegistryHeartbeat(path, () => {
				beats += 1
				if (beats === 3) heartbeat.stop({ remove: true }).then(resolve)
				return watcher
			}, { ...QUICK, intervalMs: 2, keepAlive: true })
		})
		done.push((await registry.readRegistry(path)).registry.watchers.app === undefined)
		return done
	}
`

const [declaresRequire, requiresPackage] = importPackage.split('\n')

const EXPECTED = [
	201,
	'LOCK_TIMEOUT, held since now',
	'LOCK_TIMEOUT',
	'LOCK_TIMEOUT',
	5,
	'app',
	true,
]

/**
 * Runs a program that mocks at some of these points: before the package is loaded, before its first
 * update, after an update; and that resets the mocks in the end, if `resets`.
 */
const program = (t, mocks, point, resets) => {
	const at = folder(t)
	const mockAt = (here) => (here === point ? 'mock()' : '')
	const { command, remove } = asCommand(`
		${declaresRequire}
		const timers = createRequire(import.meta.url)('node:timers')
		const QUICK = { durable: false, timeoutMs: 30_000 }
		const QUICK_DOCUMENT = { timeoutMs: 30_000 }
		const SHORT = { timeoutMs: 50 }
		${mocks}
		${mockAt('before loading')}
		${requiresPackage}
		${mockAt('before the first update')}
		${use}
		const path = ${JSON.stringify(at.path)}
		if (${point === 'after an update'}) await registry.updateRegistry(path, count, QUICK)
		${mockAt('after an update')}
		${resets ? 'await registry.updateRegistry(path, count, QUICK)\nreset()' : ''}
		const done = await useAll(path)
		const data = [registry.createEmptyRegistry().updatedAt === now, registry.setWatcherEntry({}, { id: 'a' }).updatedAt === now]
		console.log(JSON.stringify({ done, data }))
	`)
	cleanUp(t, remove)
	const [file, ...args] = command
	const options = { encoding: 'utf8', timeout: TIMEOUT_MS }
	const { status, signal, stdout, stderr } = spawnSync(file, args, options)
	assert.deepEqual([status, signal], [0, null], stderr)
	return JSON.parse(stdout)
}

const { bun, deno, node } = process.versions
const kinds = {
	'replaced functions': [replaced, false],
	"node:test's mocks": [
		nodeTest,
		skipIf(
			bun || deno || Number.parseInt(node, 10) < 20,
			'only Node from 20 on has mocks of timers and of the date',
		),
	],
}

const skipInDeno = skipIf(deno, 'Deno does not show whether timers are its own')

for (const [kind, [mocks, skipKind]] of Object.entries(kinds)) {
	for (const point of ['before loading', 'before the first update', 'after an update']) {
		const skip = skipKind || (point === 'before loading' && skipInDeno)
		test(`${kind}, ${point}: calls go by the real time, data by the mocked`, { skip }, (t) => {
			const { done, data } = program(t, mocks, point, false)
			assert.deepEqual(done, EXPECTED)
			assert.deepEqual(data, [true, true])
		})
		test(`${kind}, ${point}, and reset: all go by the real time`, { skip }, (t) => {
			const { done, data } = program(t, mocks, point, true)
			assert.deepEqual(done, EXPECTED)
			assert.deepEqual(data, [false, false])
		})
	}
}
