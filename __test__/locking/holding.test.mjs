// Holding the lock: what waiting processes see, and what happens when an old argus takes it away.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
	chmodSync,
	chownSync,
	existsSync,
	readFileSync,
	statSync,
	unlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
	inspectLock,
	tryLockExclusive,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { EMPTY, folder, lockTakenOnce, print } from '../support/folder.mjs'
import { held } from '../support/locks.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet, puppets } from '../support/processes.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'
import { set } from '../support/updaters.mjs'

test('the errors of a busy lock and of a timeout name the holder and the remedy', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	const isHolder = ({ pid, host, since, alive }) =>
		pid === holder.pid && host.length > 0 && since <= Date.now() && alive === true
	for (const [timeoutMs, code] of [
		[0, 'LOCK_BUSY'],
		[50, 'LOCK_TIMEOUT'],
	]) {
		const expected = (error) => {
			assert.equal(error.code, code)
			assert.equal(error.path, at.path)
			assert.ok(isHolder(error.holder), JSON.stringify(error.holder))
			assert.match(error.message, new RegExp(`process ${holder.pid}`))
			return true
		}
		await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs }), expected)
		assert.throws(() => updateRegistrySync(at.path, set('x', 1), { timeoutMs }), expected)
	}
	const status = await inspectLock(at.path)
	assert.equal(status.state, 'held')
	assert.ok(isHolder(status.holder))
	assert.equal(status.guarantee, 'kernel-lock')
	holder.settle()
	await holder.expect('done')
	assert.deepEqual(at.json().value, 1)
	assert.equal((await inspectLock(at.path)).state, 'free')
})

test('while this package holds the lock, the lockfile exists for old argus, and is fresh even when the event loop is blocked', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	const staleMs = 400
	holder.start('block', {
		path: at.path,
		value: 1,
		ms: 4 * staleMs,
		options: { ...UP_TO_A_MINUTE, staleMs },
	})
	await holder.expect('holding')
	let looks = 0
	let oldest = 0
	const looking = setInterval(() => {
		if (!existsSync(at.lockfile)) return
		looks += 1
		oldest = Math.max(oldest, Date.now() - statSync(at.lockfile).mtimeMs)
	}, 20)
	// Long past staleMs, this package still does not take the lock over.
	const thief = updateRegistry(at.path, set('thief', true), { staleMs, timeoutMs: 2 * staleMs })
	await assert.rejects(thief, { code: 'LOCK_TIMEOUT' })
	await holder.expect('done')
	clearInterval(looking)
	assert.ok(looks > 10, `${looks} looks`)
	assert.ok(oldest < staleMs, `the lockfile was ${oldest} ms old`)
	assert.equal(existsSync(at.lockfile), false)
})

test('a sync update waits for its whole timeout, not only for its first slice', async (t) => {
	const at = folder(t)
	const [holder, waiter] = puppets(t, 2)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	waiter.start('incrementSync', { path: at.path, times: 1, options: UP_TO_A_MINUTE })
	// Long enough for a call that gives up early to fail; nothing else depends on it.
	await delay(300)
	holder.settle()
	await waiter.expect('done')
	assert.equal(at.json().count, 1)
})

const skipWithoutStop = skipIf(process.platform === 'win32', 'Windows has no SIGSTOP')

test('the lock of a holder that is frozen beyond staleMs is not taken over', {
	skip: skipWithoutStop,
}, async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 'frozen', options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	holder.signal('SIGSTOP')
	const old = Date.now() / 1000 - 3600
	utimesSync(at.lockfile, old, old)
	const impatient = { staleMs: 10, timeoutMs: 300 }
	await assert.rejects(updateRegistry(at.path, set('thief', true), impatient), {
		code: 'LOCK_TIMEOUT',
	})
	assert.equal((await inspectLock(at.path, { staleMs: 10 })).state, 'held')
	holder.signal('SIGCONT')
	const waiting = updateRegistry(at.path, set('next', true), UP_TO_A_MINUTE)
	holder.settle()
	await holder.expect('done')
	await waiting
	assert.deepEqual(at.json(), { ...at.json(), value: 'frozen', next: true })
	assert.equal(at.json().thief, undefined)
})

test('a lock that old argus took over: the late commit is refused, the other process’s entry survives', {
	skip: skipWithoutStop,
}, async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const [holder, old] = puppets(t, 2)
	// No time to run again: the update must fail as lost.
	holder.start('hold', { path: at.path, value: 'late', options: { timeoutMs: 0, durable: false } })
	await holder.expect('holding')
	holder.signal('SIGSTOP')
	const stale = Date.now() / 1000 - 11
	utimesSync(at.lockfile, stale, stale)
	old.start('incrementWithOlderArgusLock', { path: at.path, times: 1 })
	await old.expect('done')
	holder.signal('SIGCONT')
	holder.settle()
	const failure = await holder.expect('failed')
	assert.equal(failure.code, 'LOCK_LOST')
	assert.equal(at.json().count, 1)
	assert.equal(at.json().value, undefined)
	assert.deepEqual(at.others(), [])
})

test('an update that lost its lock runs again on fresh content, within its timeout', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const seen = []
	for (const update of [updateRegistry, updateRegistrySync]) {
		let runs = 0
		await update(
			at.path,
			(registry) => {
				seen.push(registry.other)
				runs += 1
				if (runs === 1) {
					// As an old argus does that takes the lock for stale, updates and releases.
					unlinkSync(at.lockfile)
					writeFileSync(at.path, print({ ...registry, other: runs + seen.length }))
				}
				return { ...registry, runs }
			},
			UP_TO_A_MINUTE,
		)
		assert.equal(at.json().runs, 2)
	}
	assert.deepEqual(seen, [undefined, 2, 2, 4])
	assert.equal(at.json().other, 4)
})

test('a write that lost its lock is repeated', async (t) => {
	const at = folder(t)
	const isRobbed = lockTakenOnce(t, at)
	await writeRegistry(at.path, { ...EMPTY, updatedAt: 7 }, UP_TO_A_MINUTE)
	assert.ok(isRobbed())
	assert.equal(at.json().updatedAt, 7)
})

test('an updater that lost another registry’s lock fails with that, and does not run again', async (t) => {
	const at = folder(t)
	const other = `${at.dir}/other.json`
	const lose = () => {
		unlinkSync(`${other}.lock`)
		return { ...EMPTY, updatedAt: 1 }
	}
	const lost = { code: 'LOCK_LOST', path: other }
	for (const update of [updateRegistry, updateRegistrySync]) {
		let runs = 0
		const updating = async () =>
			update(
				at.path,
				(registry) => {
					runs += 1
					return runs === 1 ? update(other, lose, { timeoutMs: 0 }) : registry
				},
				UP_TO_A_MINUTE,
			)
		await assert.rejects(updating(), lost)
		assert.equal(runs, 1)
	}
})

test('withRegistryLock says when its lock was lost, and its lock writes nothing then', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const lost = withRegistryLock(at.path, async (lock) => {
		unlinkSync(at.lockfile)
		writeFileSync(at.lockfile, 'another')
		await assert.rejects(lock.write({ ...EMPTY, updatedAt: 9 }), { code: 'LOCK_LOST' })
	})
	await assert.rejects(lost, { code: 'LOCK_LOST' })
	assert.equal(at.text(), print(EMPTY))
	assert.equal(readFileSync(at.lockfile, 'utf8'), 'another', 'release must not delete it')
})

test('a release of a lock that was taken over leaves the successor’s lock', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const { settle, done } = await held(at, { timeoutMs: 0 })
	unlinkSync(at.lockfile)
	const old = puppet(t)
	old.start('holdOlderArgusLock', { path: at.path })
	await old.expect('holding')
	const successor = statSync(at.lockfile).ino
	settle()
	await assert.rejects(done, { code: 'LOCK_LOST' })
	assert.equal(statSync(at.lockfile).ino, successor)
	old.settle()
	await old.expect('done')
})

test('a holder that has the guard but not yet the lockfile is named, too', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('increment', { path: at.path, times: 1, options: UP_TO_A_MINUTE })
	await holder.expect('done')
	const guard = tryLockExclusive(at.guard)
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), (error) => {
		assert.equal(error.code, 'LOCK_BUSY')
		assert.equal(error.holder.pid, holder.pid)
		return true
	})
	guard.release()
})

/** A process that has no descriptor left when it opens the registry, from its first commit on. */
const noDescriptorSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
static int is_renamed = 0;
int rename(const char *from, const char *to) {
	int (*real)(const char *, const char *) = dlsym(RTLD_NEXT, "rename");
	is_renamed = 1;
	return real(from, to);
}
int open64(const char *path, int flags, ...) {
	int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
	size_t length = strlen(path);
	if (is_renamed && length > 14 && !strcmp(path + length - 14, "/registry.json")) {
		errno = EMFILE;
		return -1;
	}
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return real(path, flags, mode);
}`

// The second write replaced the file as one that is missing: it became another user's, and open to all.
test('the second write under a lock keeps the mode and the owner although the file can no longer be opened', {
	skip: skipIf(process.platform !== 'linux', 'needs LD_PRELOAD'),
}, (t) => {
	const at = folder(t)
	const [source, library] = ['shim.c', 'shim.so'].map((name) => join(at.dir, name))
	writeFileSync(source, noDescriptorSource)
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
	at.put(`\u{feff}${print(EMPTY)}`)
	if (process.getuid() === 0) chownSync(at.path, 12_345, 12_345)
	chmodSync(at.path, 0o600)
	const { kept } = run(
		`const path = ${JSON.stringify(at.path)}
		const empty = ${JSON.stringify(EMPTY)}
		const kept = []
		const options = { onWarning: (warning) => kept.push(warning) }
		await registry.withRegistryLock(path, async (lock) => {
			for (const number of [1, 2, 3]) await lock.write({ ...empty, number })
		}, options)
		console.log(JSON.stringify({ kept }))`,
		{ env: { ...process.env, LD_PRELOAD: library } },
	)
	assert.deepEqual(kept, [])
	const { mode, uid, gid } = statSync(at.path)
	assert.equal(mode & 0o777, 0o600)
	if (process.getuid() === 0) assert.deepEqual([uid, gid], [12_345, 12_345])
	assert.equal(at.text(), `\u{feff}${print({ ...EMPTY, number: 3 })}`)
})
