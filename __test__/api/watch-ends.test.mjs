// Watching a registry: warnings, errors and the ends of a watch.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { RegistryError, updateRegistry, watchRegistry } from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { folder } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet, script } from '../support/processes.mjs'
import { run, runUnprivileged } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'
import { count, isEmpty, put, replace, watching } from '../support/watching.mjs'

test('content that is no registry, or a newer one, is an empty registry with a warning, once each', async (t) => {
	const at = folder(t)
	at.put('{')
	const warnings = []
	const onWarning = (warning) => {
		warnings.push(warning)
		throw new Error('mine')
	}
	const complaints = []
	const complain = (warning) => complaints.push(warning.message)
	process.on('warning', complain)
	cleanUp(t, () => process.off('warning', complain))
	const { next } = watching(t, at.path, { onWarning })
	isEmpty(await next())
	for (const text of ['[]', '{"version":2}', count(1), '{']) {
		replace(at.path, '{}')
		replace(at.path, text)
		await next()
	}
	unlinkSync(at.path)
	isEmpty(await next())
	assert.deepEqual(
		warnings.map(({ code, path }) => ({ code, path })),
		['CORRUPT', 'CORRUPT', 'UNSUPPORTED_VERSION', 'CORRUPT'].map((code) => ({
			code,
			path: at.path,
		})),
	)
	while (complaints.length < 4) await new Promise(setImmediate)
	assert.deepEqual(new Set(complaints), new Set(['onWarning: mine']))
})

test('without onWarning the process is warned', async (t) => {
	const at = folder(t)
	at.put('no registry')
	const warned = new Promise((resolve) => process.once('warning', resolve))
	isEmpty(await watching(t, at.path).next())
	const { name, code } = await warned
	assert.deepEqual({ name, code }, { name: 'RegistryWarning', code: 'CORRUPT' })
})

test('an abort ends the iteration, with its reason', async (t) => {
	const at = folder(t)
	const expected = (reason) => ({
		name: 'RegistryError',
		code: 'ABORTED',
		path: at.path,
		cause: reason,
	})
	const reason = new Error('enough')
	const done = { done: true, value: undefined }
	// Before, while it waits, between two values, and in a loop.
	for (const begin of [0, 1, 2]) {
		const aborter = new AbortController()
		const { signal } = aborter
		const { watch } = watching(t, at.path, { signal })
		if (begin > 0) await watch.next()
		const waiting = begin > 1 ? watch.next() : undefined
		aborter.abort(reason)
		await assert.rejects(waiting ?? watch.next(), expected(reason))
		assert.deepEqual(await watch.next(), done)
		assert.deepEqual(await watch.return(), done)
		assert.equal(getEventListeners(signal, 'abort').length, 0)
	}
	const already = AbortSignal.abort(reason)
	await assert.rejects(watchRegistry(at.path, { signal: already }).next(), expected(reason))
	const aborter = new AbortController()
	const loop = async () => {
		for await (const _ of watchRegistry(at.path, { signal: aborter.signal })) aborter.abort(reason)
	}
	await assert.rejects(loop(), expected(reason))
})

test('return() ends a call that waits, and all later ones', async (t) => {
	const at = folder(t)
	const { watch, next } = watching(t, at.path)
	await next()
	const waiting = [watch.next(), watch.next(), watch.next()]
	assert.deepEqual(await watch.return(7), { done: true, value: 7 })
	const done = { done: true, value: undefined }
	assert.deepEqual(await Promise.all([...waiting, watch.next()]), [done, done, done, done])
	assert.equal(watch[Symbol.asyncIterator](), watch)
	// A watch whose `next` was never called.
	assert.deepEqual(await watchRegistry(at.path).return(), done)
})

test('calls of next() that don’t wait for each other get one state each, in order', async (t) => {
	const at = folder(t)
	const { watch } = watching(t, at.path)
	const asked = [watch.next(), watch.next(), watch.next()]
	await asked[0]
	put(at.path, 1)
	assert.equal((await asked[1]).value.count, 1)
	put(at.path, 2)
	assert.equal((await asked[2]).value.count, 2)
})

test('bad arguments are refused at the call', (t) => {
	const at = folder(t)
	const bad = [
		[undefined],
		[''],
		['a\0b'],
		['/'],
		[at.path, null],
		[at.path, { signal: {} }],
		[at.path, { onWarning: 1 }],
	]
	for (const args of bad) {
		assert.throws(
			() => watchRegistry(...args),
			(error) => error instanceof RegistryError && error.code === 'INVALID_VALUE',
		)
	}
})

test('a path through a file is an error, and the end', {
	skip: skipIf(process.platform === 'win32', 'Windows tells only that there is no such path'),
}, async (t) => {
	const at = folder(t)
	at.put('')
	const below = `${at.path}/registry.json`
	const { watch } = watching(t, below)
	await assert.rejects(watch.next(), { name: 'RegistryError', code: 'IO', path: below })
	assert.deepEqual(await watch.next(), { done: true, value: undefined })
})

test('a read that the system refuses is an error, and the end', async (t) => {
	const at = folder(t)
	at.put(count(1))
	const { watch: later, next } = watching(t, at.path)
	await next()
	unlinkSync(at.path)
	mkdirSync(at.path)
	const toTheEnd = async () => {
		for (;;) await later.next()
	}
	await assert.rejects(toTheEnd(), { code: 'IO', path: at.path })
})

const cannotDrop = process.platform === 'win32' || typeof process.setuid !== 'function'

test('a file or folder that may not be read is PERMISSION_DENIED; write permission is not needed', {
	skip: skipIf(cannotDrop, 'this runtime can’t give up privileges'),
}, (t) => {
	const at = folder(t)
	at.put(count(1))
	const chmod = (mode, path) => spawnSync('chmod', [mode, path])
	const first = (path) =>
		runUnprivileged(`const watch = registry.watchRegistry(${JSON.stringify(path)})
			console.log(JSON.stringify(await outcome(watch.next())))
			await watch.return()`)
	chmod('555', at.dir)
	chmod('444', at.path)
	assert.equal(first(at.path).value.value.count, 1)
	chmod('000', at.path)
	assert.equal(first(at.path).code, 'PERMISSION_DENIED')
	chmod('000', at.dir)
	assert.equal(first(at.path).code, 'PERMISSION_DENIED')
	// The folder has to be listed to find what is missing in it, not what is around it.
	mkdirSync(join(at.dir, 'inner'))
	put(join(at.dir, 'inner', 'registry.json'), 2)
	chmod('711', at.dir)
	chmod('755', join(at.dir, 'inner'))
	assert.equal(first(join(at.dir, 'inner', 'registry.json')).value.value.count, 2)
	assert.equal(first(join(at.dir, 'missing', 'registry.json')).code, 'PERMISSION_DENIED')
})

const canLimit =
	process.platform === 'linux' &&
	spawnSync('unshare', ['-Ur', 'sh', '-c', 'echo 0 > /proc/sys/user/max_inotify_watches'])
		.status === 0

test('the system’s limits of watching are named, not mistaken for a full disk', {
	skip: skipIf(!canLimit, 'needs user namespaces'),
}, (t) => {
	const at = folder(t)
	for (const what of ['watches', 'instances']) {
		const limit = `echo 0 > /proc/sys/user/max_inotify_${what}; exec "$@"`
		const { code, message } = run(
			`const watch = registry.watchRegistry(${JSON.stringify(at.path)})
			await watch.next().catch(({ code, message }) => console.log(JSON.stringify({ code, message })))`,
			{ wrap: (command) => ['unshare', '-Ur', 'sh', '-c', limit, 'sh', ...command] },
		)
		assert.equal(code, 'IO')
		assert.match(message, new RegExp(`fs\\.inotify\\.max_user_${what}`))
	}
})

test('a call that waits keeps its process alive; a watch without a call does not', async (t) => {
	const at = folder(t)
	const path = JSON.stringify(at.path)
	const waiting = script(
		t,
		`for await (const { count } of registry.watchRegistry(${path})) {
			console.log('count', count)
			if (count === 1) break
		}`,
	)
	assert.equal(await waiting.line(), 'count undefined')
	put(at.path, 1)
	assert.equal(await waiting.line(), 'count 1')
	assert.equal(await waiting.exited, 0)
	const texts = [
		`globalThis.kept = registry.watchRegistry(${path}); await kept.next()`,
		`const watch = registry.watchRegistry(${path}); await watch.next(); watch.next(); watch.return()`,
		`const aborter = new AbortController()
		const watch = registry.watchRegistry(${path}, { signal: aborter.signal })
		await watch.next()
		watch.next()
		aborter.abort()`,
	]
	for (const text of texts) assert.equal(await script(t, text).exited, 0, text)
	const exiting = `const watch = registry.watchRegistry(${path}); await watch.next(); watch.next(); setImmediate(() => process.exit(7))`
	assert.equal(await script(t, exiting).exited, 7)
})

test('watching takes no lock, and an update of the watched registry may wait for the watch', async (t) => {
	const at = folder(t)
	const { next } = watching(t, at.path)
	isEmpty(await next())
	assert.deepEqual(readdirSync(at.dir), [])
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	put(at.path, 5)
	assert.equal((await next()).count, 5)
	await holder.kill()
	await updateRegistry(
		at.path,
		async (registry) => {
			put(at.path, 6)
			assert.equal((await next()).count, 6)
			return registry
		},
		UP_TO_A_MINUTE,
	)
})
