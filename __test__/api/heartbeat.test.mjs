// The running heartbeat of a watcher.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import {
	announceWatcher,
	inspectLock,
	readRegistry,
	removeWatcher,
	startRegistryHeartbeat,
	updateRegistry,
	withRegistryLock,
} from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet } from '../support/processes.mjs'
import { asCommand, importPackage, packageFile } from '../support/script.mjs'
import { loadWithTimers } from '../support/timers.mjs'

const loopTurn = () => new Promise((resolve) => setImmediate(resolve))

const until = async (isTrue) => {
	while (!(await isTrue())) await loopTurn()
}

/** The warnings that this process emits from here on. */
const warningsOf = (t) => {
	const warnings = []
	const onWarning = ({ message }) => warnings.push(message)
	process.on('warning', onWarning)
	cleanUp(t, () => process.off('warning', onWarning))
	return warnings
}

const entry = async (at) => (await readRegistry(at.path)).registry.watchers.app

test('a heartbeat writes the record that it is given, dated at the time of the renewal', async (t) => {
	const at = folder(t)
	const watcher = record('app', { updatedAt: 1 })
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	let renewals = 0
	const getWatcher = async () => {
		renewals += 1
		return { ...watcher, renewals }
	}
	const startedAt = Date.now()
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, {
		...UP_TO_A_MINUTE,
		intervalMs: 1,
	})
	await until(async () => (await entry(at)).renewals >= 5)
	await heartbeat.stop()
	const last = renewals
	const { updatedAt, ...rest } = await entry(at)
	assert.ok(updatedAt >= startedAt && updatedAt <= Date.now())
	const { updatedAt: _, ...expected } = watcher
	assert.deepEqual(rest, { ...expected, renewals: last })
	await startRegistryHeartbeat(at.path, getWatcher, { ...UP_TO_A_MINUTE, intervalMs: 1 }).stop()
	const stoppedAt = performance.now()
	await until(() => performance.now() > stoppedAt + 20)
	assert.equal(renewals, last, 'no renewal after the end')
})

test('the first renewal comes after an interval, and pauses vary', async (t) => {
	const at = folder(t)
	await announceWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	const pauses = []
	const { startRegistryHeartbeat } = loadWithTimers((setTimeout, run, ms) => {
		pauses.push(ms)
		return setTimeout(run, Math.min(ms, 1))
	})
	let renewals = 0
	const getWatcher = () => {
		renewals += 1
		return record('app')
	}
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, {
		...UP_TO_A_MINUTE,
		intervalMs: 1_000,
	})
	assert.equal(renewals, 0)
	await until(() => pauses.length > 50)
	await heartbeat.stop()
	for (const pause of pauses) assert.ok(pause > 750 && pause <= 1_000, `${pause} ms`)
	assert.ok(Math.max(...pauses) - Math.min(...pauses) > 100, 'they vary')
	assert.equal(new Set(pauses).size, pauses.length)
	const { random } = Math
	cleanUp(t, () => {
		Math.random = random
	})
	Math.random = () => 0
	const standard = startRegistryHeartbeat(at.path, getWatcher)
	assert.equal(pauses.at(-1), 15_000, 'by default')
	await standard.stop()
})

test('there are never two renewals at once, however long one takes; stop waits for it', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	let renewals = 0
	const getWatcher = () => {
		renewals += 1
		return { ...watcher, renewals }
	}
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, {
		...UP_TO_A_MINUTE,
		intervalMs: 1,
	})
	await until(() => renewals > 0)
	const startedAt = performance.now()
	await until(() => performance.now() > startedAt + 50)
	assert.equal(renewals, 1)
	let isStopped = false
	const stopped = heartbeat.stop().then(() => (isStopped = true))
	await loopTurn()
	assert.equal(isStopped, false)
	holder.settle()
	await stopped
	assert.equal((await entry(at)).renewals, 1)
	assert.equal(renewals, 1)
})

test('stopping with `remove` removes the entry after the renewal under way', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	const start = () =>
		startRegistryHeartbeat(at.path, () => watcher, { ...UP_TO_A_MINUTE, intervalMs: 1 })
	for (let round = 0; round < 20; round += 1) {
		await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
		const heartbeat = start()
		for (let n = 0; n < round; n += 1) await loopTurn()
		assert.equal(await heartbeat.stop({ remove: true }), true)
		assert.equal(await heartbeat.stop({ remove: true }), false, 'it is gone')
		assert.equal(await entry(at), undefined)
	}
	const other = record('app', { startedAt: watcher.startedAt + 1 })
	await announceWatcher(at.path, other, UP_TO_A_MINUTE)
	assert.equal(await start().stop({ remove: true }), false)
	assert.equal(await start().stop(), false)
	assert.deepEqual(await entry(at), other, 'another watcher’s entry stays')
})

test('the options of a heartbeat are those of its renewals, and of the removal', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	const codes = []
	const heartbeat = startRegistryHeartbeat(at.path, () => record('app'), {
		timeoutMs: 0,
		intervalMs: 1,
		onError: ({ code }) => codes.push(code),
	})
	// There is an entry, or none of the operations would need the lock.
	at.put(print(EMPTY))
	await until(() => codes.includes('LOCK_BUSY'))
	await heartbeat.stop()
	const count = codes.length
	await heartbeat.stop({ remove: true })
	assert.deepEqual(codes.slice(count), ['LOCK_BUSY'])
	assert.ok(!codes.includes('LOCK_TIMEOUT'))
})

test('another working folder does not keep a heartbeat from its registry', async (t) => {
	const at = folder(t)
	const watcher = record('app', { updatedAt: 1 })
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	const before = process.cwd()
	cleanUp(t, () => process.chdir(before))
	process.chdir(at.dir)
	const errors = []
	const heartbeat = startRegistryHeartbeat('registry.json', () => watcher, {
		...UP_TO_A_MINUTE,
		intervalMs: 1,
		onError: (error) => errors.push(error),
	})
	process.chdir(before)
	await until(async () => errors.length > 0 || (await entry(at)).updatedAt > 1)
	await heartbeat.stop({ remove: true })
	assert.deepEqual(errors, [])
	assert.equal(await entry(at), undefined)
})

test('an entry that is removed, or another watcher’s, is reported and left alone', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	const errors = []
	const onError = (error) => {
		errors.push(error)
	}
	const options = { ...UP_TO_A_MINUTE, intervalMs: 1, onError }
	const heartbeat = startRegistryHeartbeat(at.path, () => watcher, options)
	await removeWatcher(at.path, 'app', UP_TO_A_MINUTE)
	await until(() => errors.length > 1)
	assert.equal(await entry(at), undefined)
	assert.deepEqual([errors[0].name, errors[0].code], ['RegistryError', 'ENTRY_LOST'])
	assert.equal(errors[0].path, at.path)
	assert.match(errors[0].message, /the entry 'app' in .+ announce the watcher again, or stop/)
	const other = record('app', { pid: 1 })
	await announceWatcher(at.path, other, UP_TO_A_MINUTE)
	const reported = errors.length
	await until(() => errors.length > reported + 1)
	assert.deepEqual(await entry(at), other)
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	await until(async () => (await entry(at)).updatedAt > watcher.updatedAt)
	await heartbeat.stop()
})

test('every failure is reported, and the next renewal comes; a handler may stop the heartbeat, or fail', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	const results = [
		new Error('mine'),
		undefined,
		'app',
		{ id: 'app', pid: process.pid, startedAt: watcher.startedAt },
		{ ...watcher, port: -1 },
		null,
	]
	const errors = []
	let next = 0
	const getWatcher = () => {
		const result = results[next]
		next += 1
		if (result instanceof Error) throw result
		return result
	}
	const warnings = warningsOf(t)
	await new Promise((resolve) => {
		const onError = async (error) => {
			errors.push(error)
			if (errors.length === results.length) {
				// From inside of the renewal that stop waits for.
				await heartbeat.stop()
				resolve()
			}
			throw new Error(`handler ${errors.length}`)
		}
		const options = { ...UP_TO_A_MINUTE, intervalMs: 1, keepAlive: true, onError }
		const heartbeat = startRegistryHeartbeat(at.path, getWatcher, options)
	})
	assert.equal(next, results.length, 'none of them made a renewal')
	assert.equal(errors[0].message, 'mine')
	for (const error of errors.slice(1)) assert.equal(error.code, 'INVALID_VALUE')
	await until(() => warnings.length === results.length)
	assert.match(warnings[0], /heartbeat of .+: handler 1/)
})

test('without a handler a failure is a warning, and a removal that fails is reported', async (t) => {
	const at = folder(t)
	const warned = once(process, 'warning')
	// A newer program's registry.
	at.put(print({ ...EMPTY, version: 2 }))
	const watcher = record('app')
	const heartbeat = startRegistryHeartbeat(at.path, () => watcher, {
		intervalMs: 1,
		keepAlive: true,
	})
	cleanUp(t, () => heartbeat.stop())
	const [warning] = await warned
	assert.deepEqual([warning.name, warning.code], ['RegistryWarning', 'UNSUPPORTED_VERSION'])
	await heartbeat.stop()
	const errors = []
	const options = { intervalMs: 1_000, onError: (error) => errors.push(error) }
	await startRegistryHeartbeat(at.path, () => watcher, options).stop({ remove: true })
	assert.deepEqual(
		errors.map(({ code }) => code),
		['UNSUPPORTED_VERSION'],
	)
})

test('any value that a handler or getWatcher throws becomes a warning that shows it', async (t) => {
	const at = folder(t)
	const warnings = warningsOf(t)
	const reasons = [
		// Errors of execFile and of an abort: their codes are not strings, which Node throws over.
		Object.assign(new Error('handler 1'), { code: 1 }),
		new DOMException('handler 2', 'TimeoutError'),
		Object.create(null),
		null,
	]
	let thrown = 0
	const onError = async () => {
		thrown += 1
		throw reasons[thrown - 1]
	}
	const getWatcher = () => {
		throw new Error('no watcher')
	}
	const options = { intervalMs: 1, keepAlive: true }
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, { ...options, onError })
	await until(() => thrown >= reasons.length)
	await heartbeat.stop(null)
	await until(() => warnings.length >= reasons.length)
	assert.match(warnings[0], /heartbeat of .+: handler 1/)
	assert.match(warnings[1], /heartbeat of .+: handler 2/)
	const silent = startRegistryHeartbeat(
		at.path,
		() => Promise.reject(new DOMException('the reason', 'TimeoutError')),
		options,
	)
	await until(() => warnings.some((message) => message.includes('the reason')))
	await silent.stop()
})

test('a heartbeat may be stopped from inside of getWatcher, and started from inside of an update', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, UP_TO_A_MINUTE)
	let renewals = 0
	const heartbeat = startRegistryHeartbeat(
		at.path,
		() => {
			renewals += 1
			// Waits for the renewal that it is a part of.
			stopped = heartbeat.stop()
			return { ...watcher, renewals }
		},
		{ ...UP_TO_A_MINUTE, intervalMs: 1 },
	)
	let stopped
	await until(() => stopped !== undefined)
	await stopped
	assert.deepEqual([(await entry(at)).renewals, renewals], [1, 1])

	const errors = []
	const onError = (error) => errors.push(error)
	let another
	await withRegistryLock(
		at.path,
		async () => {
			const getWatcher = () => {
				renewals += 1
				return { ...watcher, renewals }
			}
			another = startRegistryHeartbeat(at.path, getWatcher, {
				...UP_TO_A_MINUTE,
				intervalMs: 1,
				onError,
			})
			await until(() => renewals > 1)
		},
		UP_TO_A_MINUTE,
	)
	await until(async () => (await entry(at)).renewals > 1)
	await another.stop()
	assert.deepEqual(errors, [])
})

test('any value may be thrown', async (t) => {
	const at = folder(t)
	const warnings = warningsOf(t)
	const things = ['text', null, undefined]
	const getWatcher = () => {
		// Later errors are reported, too; they don't matter here.
		throw things.length > 1 ? things.shift() : things[0]
	}
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, { intervalMs: 1 })
	await until(() => warnings.length >= 3)
	await heartbeat.stop()
	const expected = ['text', 'null', 'undefined'].map((text) => `heartbeat of ${at.path}: ${text}`)
	assert.deepEqual(warnings.slice(0, 3), expected)
})

test('a heartbeat keeps no process alive, unless keepAlive is set', (t) => {
	const at = folder(t)
	const run = (text) => {
		const { command, remove } = asCommand(`${importPackage}
			const watcher = ${JSON.stringify(record('app'))}
			const path = ${JSON.stringify(at.path)}
			await registry.announceWatcher(path, watcher)
			${text}`)
		const [file, ...args] = command
		const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8' })
		remove()
		assert.equal(status, 0, stderr)
		return stdout
	}
	assert.equal(
		run(`registry.startRegistryHeartbeat(path, () => {
			console.log('renewed')
			return watcher
		}, { intervalMs: 60000 })`),
		'',
	)
	const renewals = run(`let renewals = 0
		const heartbeat = registry.startRegistryHeartbeat(path, () => {
			console.log('renewed')
			renewals += 1
			if (renewals === 3) heartbeat.stop()
			return watcher
		}, { intervalMs: 1, keepAlive: true })`)
	assert.equal(renewals, 'renewed\nrenewed\nrenewed\n')
})

test('a worker that is terminated in the middle of a renewal leaves no lock and no torn file', async (t) => {
	const at = folder(t)
	await announceWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	for (let round = 0; round < 20; round += 1) {
		const worker = new Worker(
			`const { parentPort, workerData: { packageFile, path, watcher } } = require('node:worker_threads')
			require(packageFile).startRegistryHeartbeat(path, () => {
				parentPort.postMessage('renewed')
				return watcher
			}, { intervalMs: 1, keepAlive: true, onError: (error) => { throw error } })`,
			{ eval: true, workerData: { packageFile, path: at.path, watcher: record('app') } },
		)
		await once(worker, 'message')
		await worker.terminate()
		await updateRegistry(at.path, (registry) => ({ ...registry, round }), { timeoutMs: 5_000 })
		assert.equal((await readRegistry(at.path)).warnings.length, 0)
	}
	assert.equal((await inspectLock(at.path)).state, 'free')
})

test('bad arguments are refused at the call', (t) => {
	const at = folder(t)
	const refused = { name: 'RegistryError', code: 'INVALID_VALUE' }
	const getWatcher = () => record('app')
	for (const args of [
		[undefined, getWatcher],
		['', getWatcher],
		[at.path],
		[at.path, record('app')],
		[at.path, getWatcher, null],
		[at.path, getWatcher, { intervalMs: 0 }],
		[at.path, getWatcher, { intervalMs: '15s' }],
		[at.path, getWatcher, { intervalMs: Number.NaN }],
		[at.path, getWatcher, { intervalMs: Number.POSITIVE_INFINITY }],
		[at.path, getWatcher, { onError: 'log' }],
		[at.path, getWatcher, { keepAlive: 1 }],
		[at.path, getWatcher, { timeoutMs: -1 }],
	]) {
		assert.throws(() => startRegistryHeartbeat(...args), refused)
	}
})
