// Watching a registry: the state now, and each one after a change, whoever makes it and however.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import {
	mkdirSync,
	opendirSync,
	readdirSync,
	readFileSync,
	readlinkSync,
	renameSync,
	rmSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { RegistryError, readRegistry, updateRegistry, watchRegistry } from '../index.js'
import { EMPTY, folder, print } from './support/folder.mjs'
import { puppet, puppets, script } from './support/processes.mjs'
import { run, runUnprivileged } from './support/script.mjs'
import { skipIf } from './support/skip.mjs'
import { collector, worker } from './support/threads.mjs'

const QUICK = { timeoutMs: 60_000, durable: false }

/** Replaces a file as another program would: no reader sees half of it. */
const replace = (path, text) => {
	writeFileSync(`${path}.other`, text)
	renameSync(`${path}.other`, path)
}

const count = (value) => print({ ...EMPTY, count: value })

const put = (path, value) => {
	mkdirSync(dirname(path), { recursive: true })
	replace(path, count(value))
}

/** A watch, closed with the test, and ways to wait for what it says. */
const watching = (t, path, options) => {
	const watch = watchRegistry(path, options)
	t.after(() => watch.return())
	const next = async () => {
		const { done, value } = await watch.next()
		assert.equal(done, false)
		return value
	}
	/** Passes over states in between, which may be merged or not. */
	const until = async (value) => {
		while ((await next()).count !== value);
	}
	return { watch, next, until }
}

/** Fails for what is no empty registry. */
const isEmpty = ({ updatedAt, ...rest }) => {
	assert.equal(typeof updatedAt, 'number')
	assert.deepEqual(rest, { version: 1, watchers: {} })
}

test('the state now, and the next after each update by this process or another', async (t) => {
	const at = folder(t)
	const { next, until } = watching(t, at.path)
	isEmpty(await next())
	await updateRegistry(at.path, (r) => ({ ...r, count: 1, odd: 1e2 }), QUICK)
	assert.deepEqual(await next(), (await readRegistry(at.path)).registry)
	const other = puppet(t)
	for (let value = 2; value < 6; value += 1) {
		other.start('increment', { path: at.path, times: 1, options: QUICK })
		assert.equal((await next()).count, value)
		await other.expect('done')
	}
	other.start('increment', { path: at.path, times: 100, options: QUICK })
	await until(105)
	await other.expect('done')
	// A write in place, too.
	at.put(count(0))
	await until(0)
})

test('of many updates by many processes the last is always delivered, and none twice', async (t) => {
	const at = folder(t)
	at.put(count(0))
	const { next } = watching(t, at.path)
	const others = puppets(t, 4)
	for (const other of others) other.start('increment', { path: at.path, times: 50, options: QUICK })
	const counts = [(await next()).count]
	while (counts.at(-1) !== 200) counts.push((await next()).count)
	assert.deepEqual(
		counts,
		[...new Set(counts)].sort((a, b) => a - b),
	)
	for (const other of others) await other.expect('done')
})

test('a late caller gets the last state, and no backlog', async (t) => {
	const at = folder(t)
	const { next } = watching(t, at.path)
	await next()
	for (let i = 1; i <= 20; i += 1) put(at.path, i)
	assert.equal((await next()).count, 20)
	put(at.path, 21)
	assert.equal((await next()).count, 21)
})

test('content that is the same is not delivered again', async (t) => {
	const at = folder(t)
	at.put(count(0))
	const { watch, next } = watching(t, at.path)
	await next()
	for (let value = 1; value <= 5; value += 1) {
		const asked = watch.next()
		put(at.path, value - 1)
		// Time for it to be noticed, in a burst of its own: the next would hide it.
		await new Promise((resolve) => setTimeout(resolve, 60))
		put(at.path, value)
		assert.equal((await asked).value.count, value)
	}
})

test('a deleted file is an empty registry', async (t) => {
	const at = folder(t)
	at.put(count(1))
	const warnings = []
	const { next } = watching(t, at.path, { onWarning: (warning) => warnings.push(warning) })
	assert.equal((await next()).count, 1)
	unlinkSync(at.path)
	isEmpty(await next())
	put(at.path, 2)
	assert.equal((await next()).count, 2)
	assert.deepEqual(warnings, [])
})

test('folders that are missing, deleted, created again or replaced', async (t) => {
	const at = folder(t)
	const dir = join(at.dir, 'a', 'b')
	const path = join(dir, 'registry.json')
	const { next, until } = watching(t, path)
	isEmpty(await next())
	assert.deepEqual(at.others(), [])
	// At once, and one after the other.
	put(path, 1)
	await until(1)
	const changes = [
		() => rmSync(join(at.dir, 'a'), { recursive: true }),
		() => rmSync(dir, { recursive: true }),
		() => renameSync(dir, join(at.dir, `away-${Math.random()}`)),
		() => {
			unlinkSync(path)
			rmSync(dir, { recursive: true })
			mkdirSync(dir)
		},
	]
	let value = 1
	for (let round = 0; round < 5; round += 1) {
		for (const change of changes) {
			value += 1
			change()
			put(path, value)
			await until(value)
			// And with a look in between.
			value += 1
			change()
			isEmpty(await next())
			put(path, value)
			await until(value)
		}
	}
})

test('another folder is put in the place of the one that is watched', async (t) => {
	const at = folder(t)
	const dir = join(at.dir, 'live')
	const path = join(dir, 'registry.json')
	put(path, 0)
	const { next, until } = watching(t, path)
	await next()
	for (let value = 1; value <= 10; value += 2) {
		put(join(at.dir, 'next', 'registry.json'), value)
		renameSync(dir, join(at.dir, `old-${value}`))
		renameSync(join(at.dir, 'next'), dir)
		await until(value)
		put(path, value + 1)
		await until(value + 1)
	}
})

/**
 * Linux tells nobody who watches a folder that it was deleted, as long as somebody has it open. A
 * watch of the folder alone would go on listening to the dead one for ever.
 */
test('a folder that somebody had open is deleted and created again', async (t) => {
	const at = folder(t)
	const dir = join(at.dir, 'open')
	const path = join(dir, 'registry.json')
	mkdirSync(dir)
	const { watch, next } = watching(t, path)
	isEmpty(await next())
	for (let value = 1; value <= 3; value += 1) {
		const opened = opendirSync(dir)
		const asked = watch.next()
		rmSync(dir, { recursive: true })
		mkdirSync(dir)
		// Time to notice the one and not the other.
		await new Promise((resolve) => setTimeout(resolve, 60))
		put(path, value)
		let { count } = (await asked).value
		while (count !== value) ({ count } = await next())
		opened.closeSync()
	}
})

test('a symbolic link: its target, and where it points', {
	skip: skipIf(process.platform === 'win32', 'needs the right to make symbolic links'),
}, async (t) => {
	const at = folder(t)
	const point = (link, target) => {
		symlinkSync(target, `${link}.new`)
		renameSync(`${link}.new`, link)
	}
	const [one, two] = ['one', 'two'].map((name) => join(at.dir, name, 'registry.json'))
	put(one, 1)
	put(two, 2)
	// A chain of two links, each in a folder of its own, and a folder that is a link.
	const middle = join(at.dir, 'middle', 'link.json')
	mkdirSync(dirname(middle))
	point(middle, one)
	point(at.path, 'middle/link.json')
	const { until } = watching(t, at.path)
	await until(1)
	put(one, 3)
	await until(3)
	await updateRegistry(at.path, (r) => ({ ...r, count: 4 }), QUICK)
	await until(4)
	point(middle, two)
	await until(2)
	put(one, 5)
	put(two, 6)
	await until(6)
	point(at.path, 'one/registry.json')
	await until(5)
	point(join(at.dir, 'folder'), 'one')
	point(at.path, 'folder/registry.json')
	put(one, 7)
	await until(7)
	point(join(at.dir, 'folder'), 'two')
	await until(6)
	point(at.path, 'nowhere/yet/registry.json')
	await until(undefined)
	put(join(at.dir, 'nowhere', 'yet', 'registry.json'), 8)
	await until(8)
	put(at.path, 9)
	await until(9)
})

test('the folder around the file’s is moved away, and all of it made anew', async (t) => {
	for (const isThere of [true, false]) {
		const at = folder(t)
		const [around, moved] = ['around', 'moved'].map((name) => join(at.dir, name))
		const path = join(around, 'folder', 'registry.json')
		mkdirSync(isThere ? dirname(path) : around, { recursive: true })
		if (isThere) writeFileSync(path, print({ ...EMPTY, updatedAt: 1 }))
		const watch = watchRegistry(path)
		await watch.next()
		renameSync(around, moved)
		mkdirSync(dirname(path), { recursive: true })
		for (const updatedAt of [2, 3]) {
			writeFileSync(path, print({ ...EMPTY, updatedAt }))
			let state
			while (state?.updatedAt !== updatedAt) state = (await watch.next()).value
		}
		await watch.return()
	}
})

test('what is no registry, or a newer one, is an empty one with a warning, once each', async (t) => {
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
	t.after(() => process.off('warning', complain))
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
	// One that was never asked for anything.
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
		[`${at.dir}/x/`],
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

test('what the system refuses is an error, and the end', async (t) => {
	const at = folder(t)
	const { watch } = watching(t, at.dir)
	await assert.rejects(watch.next(), { name: 'RegistryError', code: 'IO', path: at.dir })
	assert.deepEqual(await watch.next(), { done: true, value: undefined })
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

test('a file or folder that may not be read is PERMISSION_DENIED; one that may not be written is none', {
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
	// It has to be listed for what is missing in it, not for what is around it.
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

test('the system’s limits of watching are named, not taken for a full disk', {
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

const noProc = skipIf(process.platform !== 'linux', 'needs /proc')

const descriptors = () => readdirSync('/proc/self/fd').length

/** How many instances of the kernel's file events this process has. */
const listeners = () =>
	readdirSync('/proc/self/fd').filter((fd) => {
		try {
			return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:inotify'
		} catch {
			return false
		}
	}).length

test('the end of a watch leaves no descriptors, however it comes', { skip: noProc }, async (t) => {
	const at = folder(t)
	const ends = [
		(watch) => watch.return(),
		(watch) => {
			watch.next().catch(assert.fail)
			return watch.return()
		},
		async () => {
			for await (const _ of watchRegistry(at.path)) break
		},
		async () => {
			const aborter = new AbortController()
			const aborted = watchRegistry(at.path, { signal: aborter.signal })
			await aborted.next()
			// Nobody asks any more.
			aborter.abort()
		},
		async () => {
			await watchRegistry(at.dir)
				.next()
				.catch(() => {})
		},
	]
	const openAnd = async (end) => {
		const watch = watchRegistry(at.path)
		await watch.next()
		await end(watch)
		await watch.return()
	}
	await openAnd(ends[0])
	while (listeners() > 0) await new Promise(setImmediate)
	const before = descriptors()
	for (const end of ends) for (let i = 0; i < 10; i += 1) await openAnd(end)
	// They are closed by a thread of their own; if they were not, this would not end.
	while (listeners() > 0 || descriptors() > before) await new Promise(setImmediate)
	assert.deepEqual(at.others(), [])
})

test('the collector closes a watch that nobody has any more', { skip: noProc }, async (t) => {
	const at = folder(t)
	const gc = collector()
	for (let i = 0; i < 5; i += 1) await watchRegistry(at.path).next()
	assert.ok(listeners() > 0)
	while (listeners() > 0) {
		gc()
		await new Promise(setImmediate)
	}
})

/** How often each thread of the addon has gone to sleep so far. */
const sleeps = () =>
	readdirSync('/proc/self/task').flatMap((task) => {
		try {
			const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8')
			if (!/^Name:\s(notify|argus)/.test(status)) return []
			return `${task}: ${/^voluntary_ctxt_switches:\s(\d+)/m.exec(status)[1]}`
		} catch {
			// It has ended meanwhile.
			return []
		}
	})

test('a watch that waits does nothing', {
	skip: noProc,
}, async (t) => {
	// Deep down: the folder around the file's is watched as well, and others are busy in that of
	// temporary files.
	const path = join(folder(t).dir, 'around', 'inner', 'registry.json')
	put(path, 1)
	const { watch, next } = watching(t, path)
	await next()
	const asked = watch.next()
	// Its own look has woken the thread that listens, once. If that went on, this would not end.
	for (let before = []; ; ) {
		await new Promise((resolve) => setTimeout(resolve, 200))
		const after = sleeps()
		assert.ok(after.length >= 2)
		if (after.join() === before.join()) break
		before = after
	}
	put(path, 2)
	assert.equal((await asked).value.count, 2)
})

test('many watches of one file in one process all hear of a change', async (t) => {
	const at = folder(t)
	const watches = Array.from({ length: 50 }, () => watching(t, at.path))
	await Promise.all(watches.map(({ next }) => next()))
	const all = Promise.all(watches.map(({ until }) => until(2)))
	put(at.path, 1)
	put(at.path, 2)
	await all
})

test('worker.terminate() in the middle of a watch leaves nothing behind', {
	skip: noProc,
}, async (t) => {
	const at = folder(t)
	const before = listeners()
	const middles = [
		'const watch = registry.watchRegistry(path); watch.next().then(() => { watch.next(); ready() })',
		'const watch = registry.watchRegistry(path); globalThis.kept = watch; watch.next().then(ready); setInterval(() => {}, 1000)',
	]
	for (let round = 0; round < 5; round += 1) {
		for (const middle of middles) {
			const thread = await worker(middle, at.path)
			await thread.terminate()
		}
	}
	while (listeners() > before) await new Promise(setImmediate)
	// The process has lost nothing by it.
	const { next } = watching(t, at.path)
	isEmpty(await next())
	put(at.path, 1)
	assert.equal((await next()).count, 1)
})

test('a call that waits keeps its process; a watch that nobody asks does not', async (t) => {
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

test('watching takes no lock, and an update of the same registry may wait for the watch', async (t) => {
	const at = folder(t)
	const { next } = watching(t, at.path)
	isEmpty(await next())
	assert.deepEqual(readdirSync(at.dir), [])
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: QUICK })
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
		QUICK,
	)
})
