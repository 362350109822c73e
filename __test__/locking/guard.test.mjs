// The guard: deleted, replaced or damaged while processes use it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
	copyFileSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	symlinkSync,
	unlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspectLock, updateRegistry, updateRegistrySync } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { held } from '../support/locks.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet, puppets } from '../support/processes.mjs'
import { skipIf } from '../support/skip.mjs'
import { set } from '../support/updaters.mjs'

const isWindows = process.platform === 'win32'

test('the guard deleted while held: no overlap, and all processes go on', async (t) => {
	const at = folder(t)
	const { settle, done } = await held(at)
	unlinkSync(at.guard)
	const other = puppet(t)
	other.start('incrementSync', { path: at.path, times: 1, options: { timeoutMs: 100, staleMs: 1 } })
	const refused = await other.expect('failed')
	assert.equal(refused.code, 'LOCK_TIMEOUT')
	other.start('increment', { path: at.path, times: 1, options: UP_TO_A_MINUTE })
	settle()
	await done
	await other.expect('done')
	assert.deepEqual([at.json().held, at.json().count], [true, 1])
	assert.deepEqual(at.others(), [])
})

test('the guard deleted: a holder that can’t be judged from here is judged by its kernel lock, not by its age', async (t) => {
	const at = folder(t)
	const { settle, done } = await held(at)
	const record = readFileSync(at.lockfile, 'utf8')
	writeFileSync(at.lockfile, record.replace(/"host":"[^"]*"/, '"host":"elsewhere"'))
	unlinkSync(at.guard)
	utimesSync(at.lockfile, 0, 0)
	const thief = puppet(t)
	thief.start('incrementSync', { path: at.path, times: 1, options: { timeoutMs: 0, staleMs: 1 } })
	assert.equal((await thief.expect('failed')).code, 'LOCK_BUSY')
	settle()
	await done
	assert.equal(at.json().count, undefined)
})

test('a folder copied while a lock was held: the copy’s lockfile is judged by its age', {
	skip: skipIf(isWindows, 'on Windows a lockfile does not show that it is a copy'),
}, async (t) => {
	const [at, copy] = [folder(t), folder(t)]
	at.put(print(EMPTY))
	const { settle, done } = await held(at)
	for (const name of readdirSync(at.dir)) copyFileSync(join(at.dir, name), join(copy.dir, name))
	await assert.rejects(updateRegistry(copy.path, set('x', 1), { timeoutMs: 0 }), {
		code: 'LOCK_BUSY',
	})
	utimesSync(copy.lockfile, 0, 0)
	await updateRegistry(copy.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(copy.json().x, 1)
	settle()
	await done
})

test('the guard deleted and its holder killed: taken over at once', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	unlinkSync(at.guard)
	await holder.kill()
	assert.equal((await inspectLock(at.path)).state, 'stale')
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
	assert.deepEqual(at.others(), [])
})

test('the guard deleted again and again under load: no overlap, nothing lost', async (t) => {
	const at = folder(t)
	const all = puppets(t, 6)
	const times = 150
	for (const each of all) {
		each.start('increment', {
			path: at.path,
			times,
			marker: `${at.path}.marker`,
			options: UP_TO_A_MINUTE,
		})
	}
	let going = all.length
	let deleted = 0
	const deleting = (async () => {
		while (going > 0) {
			try {
				unlinkSync(at.guard)
				deleted += 1
			} catch (error) {
				assert.equal(error.code, 'ENOENT')
			}
			await new Promise((resolve) => setTimeout(resolve, 1))
		}
	})()
	for (const each of all) {
		await each.expect('done')
		going -= 1
	}
	await deleting
	assert.equal(at.json().count, times * all.length)
	assert.ok(deleted > 10, `the guard was deleted ${deleted} times`)
})

const skipWithoutLinks = skipIf(isWindows, 'needs the right to make symbolic links')

/** What may be in the place of a guard, and why not here. */
const replacements = {
	'a symbolic link': {
		skip: skipWithoutLinks,
		replace: (at) => symlinkSync(at.path, at.guard),
	},
	'a dangling symbolic link': {
		skip: skipWithoutLinks,
		replace: (at) => symlinkSync('nowhere', at.guard),
	},
	'a folder': { replace: (at) => mkdirSync(at.guard) },
	'a FIFO': {
		skip: skipIf(isWindows, 'Windows has no such files'),
		replace: (at) => execFileSync('mkfifo', [at.guard]),
	},
	'a file of another program': { replace: (at) => writeFileSync(at.guard, 'precious') },
}

for (const [what, { skip = false, replace }] of Object.entries(replacements)) {
	test(`the guard replaced by ${what}: a typed error, and nothing is touched`, {
		skip,
	}, async (t) => {
		const at = folder(t)
		at.put(print(EMPTY))
		replace(at)
		const refused = { name: 'RegistryError', code: 'IO', path: at.guard }
		await assert.rejects(updateRegistry(at.path, set('x', 1)), refused)
		assert.throws(() => updateRegistrySync(at.path, set('x', 1)), refused)
		assert.equal(at.text(), print(EMPTY))
		assert.deepEqual(at.others(), [])
		if (what === 'a file of another program')
			assert.equal(readFileSync(at.guard, 'utf8'), 'precious')
		renameSync(at.guard, `${at.dir}/away`)
		await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	})
}

test('a guard that a power failure left as zeros works as a guard', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	writeFileSync(at.guard, Buffer.alloc(1024))
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
})
