// The running heartbeat of a watcher.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmdirSync } from 'node:fs'
import { createRequire } from 'node:module'
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
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { puppet } from '../support/processes.mjs'
import { asCommand, importPackage, packageFile } from '../support/script.mjs'

const LONG = { timeoutMs: 60_000, durable: false }

const turn = () => new Promise((resolve) => setImmediate(resolve))

const until = async (isTrue) => {
	while (!(await isTrue())) await turn()
}

/** What this process is warned of from here on. */
const warningsOf = (t) => {
	const warnings = []
	const onWarning = ({ message }) => warnings.push(message)
	process.on('warning', onWarning)
	t.after(() => process.off('warning', onWarning))
	return warnings
}

const entry = async (at) => (await readRegistry(at.path)).registry.watchers.app

test('it writes the record that it is given, dated at the time of the beat', async (t) => {
	const at = folder(t)
	const watcher = record('app', { updatedAt: 1 })
	await announceWatcher(at.path, watcher, LONG)
	let beats = 0
	const getWatcher = async () => {
		beats += 1
		return { ...watcher, beats }
	}
	const startedAt = Date.now()
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, { ...LONG, intervalMs: 1 })
	await until(async () => (await entry(at)).beats >= 5)
	await heartbeat.stop()
	const last = beats
	const { updatedAt, ...rest } = await entry(at)
	assert.ok(updatedAt >= startedAt && updatedAt <= Date.now())
	const { updatedAt: _, ...expected } = watcher
	assert.deepEqual(rest, { ...expected, beats: last })
	await startRegistryHeartbeat(at.path, getWatcher, { ...LONG, intervalMs: 1 }).stop()
	const stoppedAt = performance.now()
	await until(() => performance.now() > stoppedAt + 20)
	assert.equal(beats, last, 'no beat after the end')
})

test('the first beat comes after an interval, and pauses vary', async (t) => {
	const at = folder(t)
	await announceWatcher(at.path, record('app'), LONG)
	// The package's own view of the module: an ES module's is another object.
	const timers = createRequire(packageFile)('node:timers')
	const { setTimeout } = timers
	const pauses = []
	timers.setTimeout = (run, ms) => {
		pauses.push(ms)
		return setTimeout(run, Math.min(ms, 1))
	}
	t.after(() => {
		timers.setTimeout = setTimeout
	})
	let beats = 0
	const getWatcher = () => {
		beats += 1
		return record('app')
	}
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, { ...LONG, intervalMs: 1_000 })
	assert.equal(beats, 0)
	await until(() => pauses.length > 50)
	await heartbeat.stop()
	for (const pause of pauses) assert.ok(pause > 750 && pause <= 1_000, `${pause} ms`)
	assert.ok(Math.max(...pauses) - Math.min(...pauses) > 100, 'they vary')
	assert.equal(new Set(pauses).size, pauses.length)
	const { random } = Math
	t.after(() => {
		Math.random = random
	})
	Math.random = () => 0
	const standard = startRegistryHeartbeat(at.path, getWatcher)
	assert.equal(pauses.at(-1), 15_000, 'unless told otherwise')
	await standard.stop()
})

test('there are never two beats at once, however long one takes; stop waits for it', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, LONG)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: LONG })
	await holder.expect('holding')
	let beats = 0
	const getWatcher = () => {
		beats += 1
		return { ...watcher, beats }
	}
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, { ...LONG, intervalMs: 1 })
	await until(() => beats > 0)
	const startedAt = performance.now()
	await until(() => performance.now() > startedAt + 50)
	assert.equal(beats, 1)
	let isStopped = false
	const stopped = heartbeat.stop().then(() => (isStopped = true))
	await turn()
	assert.equal(isStopped, false)
	holder.settle()
	await stopped
	assert.equal((await entry(at)).beats, 1)
	assert.equal(beats, 1)
})

test('stopping with `remove` takes the entry out after the beat in flight', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	const start = () => startRegistryHeartbeat(at.path, () => watcher, { ...LONG, intervalMs: 1 })
	for (let round = 0; round < 20; round += 1) {
		await announceWatcher(at.path, watcher, LONG)
		const heartbeat = start()
		for (let n = 0; n < round; n += 1) await turn()
		assert.equal(await heartbeat.stop({ remove: true }), true)
		assert.equal(await heartbeat.stop({ remove: true }), false, 'it is gone')
		assert.equal(await entry(at), undefined)
	}
	const other = record('app', { startedAt: watcher.startedAt + 1 })
	await announceWatcher(at.path, other, LONG)
	assert.equal(await start().stop({ remove: true }), false)
	assert.equal(await start().stop(), false)
	assert.deepEqual(await entry(at), other, 'another watcher’s entry stays')
})

test('its options are those of its beats, and of the removal', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: LONG })
	await holder.expect('holding')
	const codes = []
	const heartbeat = startRegistryHeartbeat(at.path, () => record('app'), {
		timeoutMs: 0,
		intervalMs: 1,
		onError: ({ code }) => codes.push(code),
	})
	// There is something to look at, or none of them would need the lock.
	at.put(print(EMPTY))
	await until(() => codes.includes('LOCK_BUSY'))
	await heartbeat.stop()
	const count = codes.length
	await heartbeat.stop({ remove: true })
	assert.deepEqual(codes.slice(count), ['LOCK_BUSY'])
	assert.ok(!codes.includes('LOCK_TIMEOUT'))
})

test('neither another working folder nor an aborted signal keeps it from its registry', async (t) => {
	const at = folder(t)
	const watcher = record('app', { updatedAt: 1 })
	await announceWatcher(at.path, watcher, LONG)
	const before = process.cwd()
	t.after(() => process.chdir(before))
	process.chdir(at.dir)
	const errors = []
	const heartbeat = startRegistryHeartbeat('registry.json', () => watcher, {
		...LONG,
		intervalMs: 1,
		signal: AbortSignal.abort(),
		onError: (error) => errors.push(error),
	})
	process.chdir(before)
	await until(async () => errors.length > 0 || (await entry(at)).updatedAt > 1)
	await heartbeat.stop({ remove: true })
	assert.deepEqual(errors, [])
	assert.equal(await entry(at), undefined)
})

test('an entry that is gone, or another’s, is told and left alone', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, LONG)
	const errors = []
	const onError = (error) => {
		errors.push(error)
	}
	const options = { ...LONG, intervalMs: 1, onError }
	const heartbeat = startRegistryHeartbeat(at.path, () => watcher, options)
	await removeWatcher(at.path, 'app', LONG)
	await until(() => errors.length > 1)
	assert.equal(await entry(at), undefined)
	assert.deepEqual([errors[0].name, errors[0].code], ['RegistryError', 'ENTRY_LOST'])
	assert.equal(errors[0].path, at.path)
	assert.match(errors[0].message, /the entry 'app' in .+ announce the watcher again, or stop/)
	const other = record('app', { pid: 1 })
	await announceWatcher(at.path, other, LONG)
	const told = errors.length
	await until(() => errors.length > told + 1)
	assert.deepEqual(await entry(at), other)
	await announceWatcher(at.path, watcher, LONG)
	await until(async () => (await entry(at)).updatedAt > watcher.updatedAt)
	await heartbeat.stop()
})

test('whatever fails is told, and the next beat comes; a handler may stop it, or fail', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, LONG)
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
				// From inside of the beat that stop waits for.
				await heartbeat.stop()
				resolve()
			}
			throw new Error(`handler ${errors.length}`)
		}
		const options = { ...LONG, intervalMs: 1, keepAlive: true, onError }
		const heartbeat = startRegistryHeartbeat(at.path, getWatcher, options)
	})
	assert.equal(next, results.length, 'none of them was good for a beat')
	assert.equal(errors[0].message, 'mine')
	for (const error of errors.slice(1)) assert.equal(error.code, 'INVALID_VALUE')
	await until(() => warnings.length === results.length)
	assert.match(warnings[0], /heartbeat of .+: handler 1/)
})

test('without a handler a failure is a warning, and a removal that fails is told', async (t) => {
	const at = folder(t)
	const warned = once(process, 'warning')
	const inTheWay = `${at.dir}/folder`
	mkdirSync(inTheWay)
	const watcher = record('app')
	const heartbeat = startRegistryHeartbeat(inTheWay, () => watcher, {
		intervalMs: 1,
		keepAlive: true,
	})
	const [warning] = await warned
	assert.deepEqual([warning.name, warning.code], ['RegistryWarning', 'IO'])
	await heartbeat.stop()
	const errors = []
	const options = { intervalMs: 1_000, onError: (error) => errors.push(error) }
	await startRegistryHeartbeat(inTheWay, () => watcher, options).stop({ remove: true })
	assert.deepEqual(
		errors.map(({ code }) => code),
		['IO'],
	)
	rmdirSync(inTheWay)
})

test('whatever a handler or getWatcher throws becomes a warning that says it', async (t) => {
	const at = folder(t)
	const warnings = warningsOf(t)
	const reasons = [
		// What execFile rejects with, and what an abort does: codes that Node takes for no code.
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

test('it may be stopped from inside of getWatcher, and started from inside of a hold', async (t) => {
	const at = folder(t)
	const watcher = record('app')
	await announceWatcher(at.path, watcher, LONG)
	let beats = 0
	const heartbeat = startRegistryHeartbeat(
		at.path,
		() => {
			beats += 1
			// Waits for the very beat that it stands in.
			stopped = heartbeat.stop()
			return { ...watcher, beats }
		},
		{ ...LONG, intervalMs: 1 },
	)
	let stopped
	await until(() => stopped !== undefined)
	await stopped
	assert.deepEqual([(await entry(at)).beats, beats], [1, 1])

	const errors = []
	const onError = (error) => errors.push(error)
	let another
	await withRegistryLock(
		at.path,
		async () => {
			const getWatcher = () => {
				beats += 1
				return { ...watcher, beats }
			}
			another = startRegistryHeartbeat(at.path, getWatcher, { ...LONG, intervalMs: 1, onError })
			await until(() => beats > 1)
		},
		LONG,
	)
	await until(async () => (await entry(at)).beats > 1)
	await another.stop()
	assert.deepEqual(errors, [])
})

test('what is thrown may be anything', async (t) => {
	const at = folder(t)
	const warnings = warningsOf(t)
	const things = ['text', null, undefined]
	const getWatcher = () => {
		// Those that come later are told as well, and of no interest.
		throw things.length > 1 ? things.shift() : things[0]
	}
	const heartbeat = startRegistryHeartbeat(at.path, getWatcher, { intervalMs: 1 })
	await until(() => warnings.length >= 3)
	await heartbeat.stop()
	const told = ['text', 'null', 'undefined'].map((text) => `heartbeat of ${at.path}: ${text}`)
	assert.deepEqual(warnings.slice(0, 3), told)
})

test('it keeps no process alive, unless it is asked to', (t) => {
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
			console.log('beat')
			return watcher
		}, { intervalMs: 60000 })`),
		'',
	)
	const beats = run(`let beats = 0
		const heartbeat = registry.startRegistryHeartbeat(path, () => {
			console.log('beat')
			beats += 1
			if (beats === 3) heartbeat.stop()
			return watcher
		}, { intervalMs: 1, keepAlive: true })`)
	assert.equal(beats, 'beat\nbeat\nbeat\n')
})

test('a worker that is terminated in the middle of a beat leaves no lock and no torn file', async (t) => {
	const at = folder(t)
	await announceWatcher(at.path, record('app'), LONG)
	for (let round = 0; round < 20; round += 1) {
		const worker = new Worker(
			`const { parentPort, workerData: { packageFile, path, watcher } } = require('node:worker_threads')
			require(packageFile).startRegistryHeartbeat(path, () => {
				parentPort.postMessage('beat')
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

test('bad arguments are refused at once', (t) => {
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
