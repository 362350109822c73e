// Watching a registry: the state now, and each one after a change, whatever makes it.

import assert from 'node:assert/strict'
import {
	mkdirSync,
	opendirSync,
	renameSync,
	rmSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { readRegistry, updateRegistry } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet, puppets } from '../support/processes.mjs'
import { skipIf } from '../support/skip.mjs'
import { count, isEmpty, put, watching } from '../support/watching.mjs'

test('the state now, and the next after each update by this process or another', async (t) => {
	const at = folder(t)
	const { next, until } = watching(t, at.path)
	isEmpty(await next())
	await updateRegistry(at.path, (r) => ({ ...r, count: 1, odd: 1e2 }), UP_TO_A_MINUTE)
	assert.deepEqual(await next(), (await readRegistry(at.path)).registry)
	const other = puppet(t)
	for (let value = 2; value < 6; value += 1) {
		other.start('increment', { path: at.path, times: 1, options: UP_TO_A_MINUTE })
		assert.equal((await next()).count, value)
		await other.expect('done')
	}
	other.start('increment', { path: at.path, times: 100, options: UP_TO_A_MINUTE })
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
	for (const other of others)
		other.start('increment', { path: at.path, times: 50, options: UP_TO_A_MINUTE })
	const counts = [(await next()).count]
	while (counts.at(-1) !== 200) counts.push((await next()).count)
	assert.deepEqual(
		counts,
		[...new Set(counts)].sort((a, b) => a - b),
	)
	for (const other of others) await other.expect('done')
})

test('a late call gets the last state, and no backlog', async (t) => {
	const at = folder(t)
	const { next } = watching(t, at.path)
	await next()
	for (let i = 1; i <= 20; i += 1) put(at.path, i)
	assert.equal((await next()).count, 20)
	put(at.path, 21)
	assert.equal((await next()).count, 21)
})

test('content that equals the last one is not delivered again', async (t) => {
	const at = folder(t)
	at.put(count(0))
	const { watch, next } = watching(t, at.path)
	await next()
	for (let value = 1; value <= 5; value += 1) {
		const asked = watch.next()
		put(at.path, value - 1)
		// Time for the watch to notice the change in a burst of its own: the next change would hide it.
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
			// And with a call in between.
			value += 1
			change()
			isEmpty(await next())
			put(path, value)
			await until(value)
		}
	}
})

test('the watched folder is replaced by another', async (t) => {
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
 * Linux reports the deletion of a watched folder only when no process has the folder open. A watch
 * of the folder alone would listen to the deleted folder for ever.
 */
test('a folder that a process had open is deleted and created again', async (t) => {
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
		// Time to notice the deletion and not the new folder.
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
	await updateRegistry(at.path, (r) => ({ ...r, count: 4 }), UP_TO_A_MINUTE)
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

for (const isThere of [true, false]) {
	const file = isThere ? 'the file' : 'a missing file'
	test(`the folder around the folder of ${file} is moved away, and all of it is made anew`, {
		skip: skipIf(
			isThere && process.platform === 'win32',
			'Windows renames no folder around a folder that is watched',
		),
	}, async (t) => {
		const at = folder(t)
		const [around, moved] = ['around', 'moved'].map((name) => join(at.dir, name))
		const path = join(around, 'folder', 'registry.json')
		mkdirSync(isThere ? dirname(path) : around, { recursive: true })
		if (isThere) writeFileSync(path, print({ ...EMPTY, updatedAt: 1 }))
		const { next } = watching(t, path)
		await next()
		renameSync(around, moved)
		mkdirSync(dirname(path), { recursive: true })
		for (const updatedAt of [2, 3]) {
			writeFileSync(path, print({ ...EMPTY, updatedAt }))
			while ((await next()).updatedAt !== updatedAt);
		}
	})
}
