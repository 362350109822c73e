// A lock that is taken away after its holder has written: the change is in the file, and its caller is told.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { updateRegistry, withRegistryLock } from '../../index.js'
import { documentIn, filesOf, LOCKS } from '../support/documents.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

const VALUE = { ...EMPTY, updatedAt: 9 }

/** Every call that runs a function under the lock, with the file that shows the lock. */
const sections = {
	withRegistryLock: {
		call: (at, fn, options) => withRegistryLock(at.path, fn, { ...UP_TO_A_MINUTE, ...options }),
		lockFile: (at) => at.lockfile,
	},
	...Object.fromEntries(
		LOCKS.map((lock) => [
			`withLock, ${lock}`,
			{
				call: (at, fn, options) =>
					documentIn(at, lock, { ...options, empty: () => EMPTY }).withLock(fn, {
						timeoutMs: UP_TO_A_MINUTE.timeoutMs,
					}),
				lockFile: (at) => (lock === 'registry' ? at.lockfile : join(at.dir, filesOf(at, lock)[1])),
			},
		]),
	),
}

for (const [name, { call, lockFile }] of Object.entries(sections)) {
	test(`${name}: a lock that is lost after a write is an error that does not say that nothing was written`, async (t) => {
		const at = folder(t)
		at.put(print(EMPTY))
		const warnings = []
		const onWarning = (warning) => warnings.push(warning)
		for (const writes of [true, false]) {
			const fn = async (lock) => {
				if (writes) await lock.write(VALUE)
				unlinkSync(lockFile(at))
				await assert.rejects(lock.write(EMPTY), {
					code: 'LOCK_LOST',
					message: /so it was not written/,
				})
			}
			const message = writes ? /after the file was written under it/ : /so it was not written/
			await assert.rejects(call(at, fn, { onWarning }), {
				code: 'LOCK_LOST',
				path: at.path,
				message,
			})
			assert.equal(at.json().updatedAt, VALUE.updatedAt)
			assert.deepEqual(warnings, [], 'the error has told it')
		}
	})

	test(`${name}: a function that fails after a write gets a warning of a lost lock`, async (t) => {
		const at = folder(t)
		const warnings = []
		const mine = new Error('mine')
		const fn = async (lock) => {
			await lock.write(VALUE)
			unlinkSync(lockFile(at))
			throw mine
		}
		const onWarning = (warning) => warnings.push(warning)
		await assert.rejects(call(at, fn, { onWarning }), (error) => error === mine)
		assert.equal(at.json().updatedAt, VALUE.updatedAt)
		assert.deepEqual(
			warnings.map(({ code, path }) => ({ code, path })),
			[{ code: 'LOCK_LOST', path: at.path }],
		)
		assert.match(warnings[0].message, /was written, but its lock was taken away/)
	})
}

test('an update that was committed before an async one of its batch gets a warning, if that one loses the lock', async (t) => {
	const at = folder(t)
	const warned = []
	const options = (name) => ({
		...UP_TO_A_MINUTE,
		onWarning: ({ code }) => warned.push([name, code]),
	})
	let runs = 0
	const first = updateRegistry(at.path, (it) => ({ ...it, first: 1 }), options('first'))
	const second = updateRegistry(
		at.path,
		async (it) => {
			runs += 1
			await first
			if (runs === 1) unlinkSync(at.lockfile)
			return { ...it, second: runs }
		},
		options('second'),
	)
	await Promise.all([first, second])
	assert.equal(runs, 2)
	assert.deepEqual([at.json().first, at.json().second], [1, 2])
	assert.deepEqual(warned, [['first', 'LOCK_LOST']])
})

/** A program that deletes lock files and comes just after each rename. */
const removerSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
int rename(const char *from, const char *to) {
	int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
	int result = real(from, to);
	char lockfile[4096], lock_file[4096];
	snprintf(lockfile, sizeof lockfile, "%s.lock", to);
	snprintf(lock_file, sizeof lock_file, "%s", to);
	strcpy(strrchr(lock_file, '.'), ".lock");
	unlink(lockfile);
	unlink(lock_file);
	return result;
}`

test('every call that has written when its lock is taken away succeeds, with a warning', {
	skip: skipIf(process.platform !== 'linux', 'needs LD_PRELOAD'),
}, (t) => {
	const at = folder(t)
	const [source, library] = ['remover.c', 'remover.so'].map((name) => join(at.dir, name))
	writeFileSync(source, removerSource)
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
	const { seen } = run(
		`const path = ${JSON.stringify(at.path)}
		const own = ${JSON.stringify(join(at.dir, 'own.json'))}
		const shared = ${JSON.stringify(join(at.dir, 'shared.json'))}
		const empty = ${JSON.stringify(EMPTY)}
		const watcher = { id: 'app', host: '127.0.0.1', port: 1, pid: process.pid, startedAt: 1, updatedAt: 1 }
		let number = 0
		const change = (value) => ({ ...value, number: ++number })
		const seen = {}
		for (const durable of [false, true]) {
			const told = []
			const options = { durable, timeoutMs: 0, onWarning: ({ code, path }) => told.push([code, path]) }
			const queued = { ...options, timeoutMs: 60000 }
			const document = (file, lock) => new registry.Document(file, {
				durable, onWarning: options.onWarning, lock, empty: () => empty,
			})
			const look = async (name, call) => {
				await call()
				seen[name + (durable ? ', durable' : '')] = told.splice(0)
			}
			await look('update', () => registry.updateRegistry(path, change, options))
			await look('updateSync', () => registry.updateRegistrySync(path, change, options))
			await look('batch of 3', () =>
				Promise.all([0, 1, 2].map(() => registry.updateRegistry(path, change, queued))))
			await look('write', () => registry.writeRegistry(path, empty, options))
			await look('announce', () => registry.announceWatcher(path, watcher, options))
			await look('heartbeat', () => registry.heartbeatWatcher(path, 'app', options))
			await look('remove', () => registry.removeWatcher(path, 'app', options))
			await look('remove, nothing written', () => registry.removeWatcher(path, 'app', options))
			await look('entries together', () => Promise.all([
				registry.announceWatcher(path, watcher, queued),
				registry.removeWatcher(path, 'nothing', queued),
				registry.heartbeatWatcher(path, 'app', queued),
				registry.heartbeatWatcher(path, 'nothing', queued),
			]))
			for (const [file, lock] of [[own, 'lock-file'], [shared, 'registry']]) {
				const one = { timeoutMs: 0 }
				await look('save ' + lock, () => document(file, lock).save(change(empty), one))
				await look('update ' + lock, () => document(file, lock).update(change, one))
				await look('updateSync ' + lock, () => document(file, lock).updateSync(change, one))
			}
		}
		// Without a handler it is a warning of the process.
		const emitted = new Promise((resolve) => process.once('warning', resolve))
		await registry.updateRegistry(path, change)
		const { name, code } = await emitted
		seen.process = [name, code]
		console.log(JSON.stringify({ seen }))`,
		{ env: { ...process.env, LD_PRELOAD: library } },
	)
	const lost = (name) => [['LOCK_LOST', name ? join(at.dir, name) : at.path]]
	const expected = { process: ['RegistryWarning', 'LOCK_LOST'] }
	for (const suffix of ['', ', durable']) {
		for (const name of ['update', 'updateSync', 'write', 'announce', 'heartbeat', 'remove']) {
			expected[name + suffix] = lost()
		}
		expected[`batch of 3${suffix}`] = [...lost(), ...lost(), ...lost()]
		expected[`remove, nothing written${suffix}`] = []
		expected[`entries together${suffix}`] = [...lost(), ...lost()]
		for (const name of ['save', 'update', 'updateSync']) {
			expected[`${name} lock-file${suffix}`] = lost('own.json')
			expected[`${name} registry${suffix}`] = lost('shared.json')
		}
	}
	assert.deepEqual(seen, expected)
})
