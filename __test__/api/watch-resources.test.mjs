// Watching a registry: descriptors, threads and time that a watch uses.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { watchRegistry } from '../../index.js'
import { folder } from '../support/folder.mjs'
import { skipIf } from '../support/skip.mjs'
import { collector, worker } from '../support/threads.mjs'
import { isEmpty, put, watching } from '../support/watching.mjs'

const noProc = skipIf(process.platform !== 'linux', 'needs /proc')

const descriptors = () => readdirSync('/proc/self/fd').length

/** The number of instances of the kernel's file events that this process has. */
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
			// No call waits any more.
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
	// A thread of their own closes them; if it did not, this loop would not end.
	while (listeners() > 0 || descriptors() > before) await new Promise(setImmediate)
	assert.deepEqual(at.others(), [])
})

test('the garbage collector closes a watch that no code has any more', {
	skip: noProc,
}, async (t) => {
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
			// The thread has ended meanwhile.
			return []
		}
	})

test('a watch that waits does nothing', {
	skip: noProc,
}, async (t) => {
	// Two folders down: the folder around the file's is watched, too, and other programs write to the
	// folder of temporary files.
	const path = join(folder(t).dir, 'around', 'inner', 'registry.json')
	put(path, 1)
	const { watch, next } = watching(t, path)
	await next()
	const asked = watch.next()
	// The watch's own read has woken the listening thread, once. If that went on, this loop would not
	// end.
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

test('many watches of one file in one process all deliver a change', async (t) => {
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
