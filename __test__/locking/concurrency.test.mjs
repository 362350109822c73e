// Many calls at once: nothing lost, no two holds overlap, no call delayed without need.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readRegistrySync, updateRegistry } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { UP_TO_TWO_MINUTES } from '../support/options.mjs'
import { puppets, rustExample } from '../support/processes.mjs'

/** The Rust program of the crate that counts up the port of an entry. */
const incrementInRust = (at, times, marker) => {
	const child = spawn(rustExample('increment'), [at.path, String(times), marker], {
		stdio: ['ignore', 'inherit', 'inherit'],
	})
	return once(child, 'exit').then(([code]) => assert.equal(code, 0))
}

test('16 processes x 500 increments, Node and Rust mixed: the exact count, no overlap', async (t) => {
	const at = folder(t)
	const marker = `${at.path}.marker`
	const nodes = puppets(t, 8)
	const times = 500
	const details = { path: at.path, times, marker, options: UP_TO_TWO_MINUTES }
	for (const [index, each] of nodes.entries()) {
		each.start(index % 2 ? 'incrementSync' : 'increment', details)
	}
	const rust = Array.from({ length: 8 }, () => incrementInRust(at, times, marker))
	for (const each of nodes) await each.expect('done')
	await Promise.all(rust)
	const registry = at.json()
	assert.equal(registry.count, 8 * times)
	assert.equal(registry.watchers.counter.port, 8 * times)
	assert.deepEqual(at.others(), [])
})

test('processes of old argus mixed with processes of this package: no overlap, nothing lost', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const marker = `${at.path}.marker`
	const all = puppets(t, 8)
	const times = { incrementWithOlderArgusLock: 20, increment: 60, incrementSync: 60 }
	const tasks = [
		'incrementWithOlderArgusLock',
		'increment',
		'incrementWithOlderArgusLock',
		'incrementSync',
	]
	let expected = 0
	for (const [index, each] of all.entries()) {
		const task = tasks[index % tasks.length]
		expected += times[task]
		// The old processes wait longer than real ones do: this package may starve those, but no update
		// may be lost.
		each.start(task, { path: at.path, times: times[task], marker, options: UP_TO_TWO_MINUTES })
	}
	for (const each of all) await each.expect('done')
	assert.equal(at.json().count, expected)
	assert.deepEqual(at.others(), [])
})

test('64 concurrent updates in one process run in order, and don’t delay its file reads', async (t) => {
	const at = folder(t)
	const [holder] = puppets(t, 1)
	holder.start('hold', { path: at.path, options: UP_TO_TWO_MINUTES })
	await holder.expect('holding')
	const order = []
	const updates = Array.from({ length: 64 }, (_, index) =>
		updateRegistry(
			at.path,
			(registry) => {
				order.push(index)
				return { ...registry, count: (registry.count ?? 0) + 1 }
			},
			UP_TO_TWO_MINUTES,
		),
	)
	// While all 64 wait for another process, libuv's four threads are free for other work.
	const here = fileURLToPath(import.meta.url)
	const reads = await Promise.all(Array.from({ length: 32 }, () => readFile(here)))
	assert.equal(reads.length, 32)
	assert.deepEqual(order, [])
	holder.settle()
	await Promise.all(updates)
	assert.deepEqual(order, [...Array(64).keys()])
	assert.equal(at.json().count, 64)
})

test('waits for 64 locked registries at once don’t use the thread pool of Node either', async (t) => {
	const at = folder(t)
	const places = Array.from({ length: 64 }, (_, index) => `${at.dir}/${index}.json`)
	const [holder] = puppets(t, 1)
	for (const path of places) {
		holder.start('hold', { path, options: UP_TO_TWO_MINUTES })
		await holder.expect('holding')
	}
	const aborter = new AbortController()
	const options = { ...UP_TO_TWO_MINUTES, signal: aborter.signal }
	const waits = places.map((path) => updateRegistry(path, (registry) => registry, options))
	const settled = Promise.allSettled(waits)
	assert.ok((await readFile(fileURLToPath(import.meta.url))).length > 0)
	aborter.abort()
	for (const { reason } of await settled) assert.equal(reason.code, 'ABORTED')
})

test('readers beside writers see whole registries, never an older one after a newer', async (t) => {
	const at = folder(t)
	at.put(print({ ...EMPTY, count: 0 }))
	const writers = puppets(t, 3)
	for (const each of writers)
		each.start('increment', { path: at.path, times: 300, options: UP_TO_TWO_MINUTES })
	let going = writers.length
	const done = writers.map((each) => each.expect('done').then(() => (going -= 1)))
	let last = 0
	let reads = 0
	while (going > 0) {
		const { registry, warnings } = readRegistrySync(at.path)
		assert.deepEqual(warnings, [])
		assert.ok(registry.count >= last, `${registry.count} after ${last}`)
		last = registry.count
		reads += 1
		await new Promise(setImmediate)
	}
	await Promise.all(done)
	assert.equal(at.json().count, 900)
	assert.ok(reads > 100, `${reads} reads`)
})
