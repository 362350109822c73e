// Who holds the lock, who waits, who takes over: ours among themselves and beside old argus.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	renameSync,
	statSync,
	symlinkSync,
	unlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
	inspectLock,
	readRegistrySync,
	tryLockExclusive,
	tryLockShared,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../index.js'
import { EMPTY, folder, print, robbedOnce } from './support/folder.mjs'
import { puppet, puppets } from './support/processes.mjs'

const LONG = { timeoutMs: 60_000, durable: false }

const set = (key, value) => (registry) => ({ ...registry, [key]: value })

/** A lockfile as an older argus leaves it, dated so many seconds ago. */
const leaveOldLockfile = (at, secondsAgo) => {
	writeFileSync(at.lockfile, '')
	const date = Date.now() / 1000 - secondsAgo
	utimesSync(at.lockfile, date, date)
}

/** Starts an update and waits until it is in its updater; `settle` lets it go on. */
const held = async (at, options = LONG) => {
	let settle
	const settled = new Promise((resolve) => (settle = resolve))
	let entered
	const inside = new Promise((resolve) => (entered = resolve))
	const done = updateRegistry(
		at.path,
		async (registry) => {
			entered()
			await settled
			return { ...registry, held: true }
		},
		options,
	)
	done.catch(() => {})
	await inside
	return { settle, done }
}

test('busy and timed out name the holder and the way out', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: LONG })
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

test('while ours hold, the lockfile is there for old argus, and fresh even when the event loop is blocked', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	const staleMs = 400
	holder.start('block', { path: at.path, value: 1, ms: 4 * staleMs, options: { ...LONG, staleMs } })
	await holder.expect('holding')
	let looks = 0
	let oldest = 0
	const looking = setInterval(() => {
		if (!existsSync(at.lockfile)) return
		looks += 1
		oldest = Math.max(oldest, Date.now() - statSync(at.lockfile).mtimeMs)
	}, 20)
	// Long past the threshold, ours still don't rob it.
	const thief = updateRegistry(at.path, set('thief', true), { staleMs, timeoutMs: 2 * staleMs })
	await assert.rejects(thief, { code: 'LOCK_TIMEOUT' })
	await holder.expect('done')
	clearInterval(looking)
	assert.ok(looks > 10, `${looks} looks`)
	assert.ok(oldest < staleMs, `the lockfile was ${oldest} ms old`)
	assert.equal(existsSync(at.lockfile), false)
})

test('a sync update waits as long as it may, not only until it looks up for the first time', async (t) => {
	const at = folder(t)
	const [holder, waiter] = puppets(t, 2)
	holder.start('hold', { path: at.path, value: 1, options: LONG })
	await holder.expect('holding')
	waiter.start('incrementSync', { path: at.path, times: 1, options: LONG })
	// Long enough for one that gives up early to say so; nothing depends on it otherwise.
	await delay(300)
	holder.settle()
	await waiter.expect('done')
	assert.equal(at.json().count, 1)
})

test('a holder frozen past the stale threshold is not robbed by ours', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 'frozen', options: LONG })
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
	const waiting = updateRegistry(at.path, set('next', true), LONG)
	holder.settle()
	await holder.expect('done')
	await waiting
	assert.deepEqual(at.json(), { ...at.json(), value: 'frozen', next: true })
	assert.equal(at.json().thief, undefined)
})

test('robbed by an old-style process: the late commit is refused, the other’s entry survives', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const [holder, old] = puppets(t, 2)
	// No time to run again: the update must fail as lost.
	holder.start('hold', { path: at.path, value: 'late', options: { timeoutMs: 0, durable: false } })
	await holder.expect('holding')
	holder.signal('SIGSTOP')
	const stale = Date.now() / 1000 - 11
	utimesSync(at.lockfile, stale, stale)
	old.start('incrementWithSeedLock', { path: at.path, times: 1 })
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
					// What an old argus does that takes the lock for stale, updates and leaves.
					unlinkSync(at.lockfile)
					writeFileSync(at.path, print({ ...registry, other: runs + seen.length }))
				}
				return { ...registry, runs }
			},
			LONG,
		)
		assert.equal(at.json().runs, 2)
	}
	assert.deepEqual(seen, [undefined, 2, 2, 4])
	assert.equal(at.json().other, 4)
})

test('a write that lost its lock is done again', async (t) => {
	const at = folder(t)
	const isRobbed = robbedOnce(t, at)
	await writeRegistry(at.path, { ...EMPTY, updatedAt: 7 }, LONG)
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
				LONG,
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

test('release by somebody who no longer owns the lock leaves the successor’s', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const { settle, done } = await held(at, { timeoutMs: 0 })
	unlinkSync(at.lockfile)
	const old = puppet(t)
	old.start('holdSeedLock', { path: at.path })
	await old.expect('holding')
	const successor = statSync(at.lockfile).ino
	settle()
	await assert.rejects(done, { code: 'LOCK_LOST' })
	assert.equal(statSync(at.lockfile).ino, successor)
	old.settle()
	await old.expect('done')
})

test('a fresh lockfile of old argus is waited for', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const old = puppet(t)
	old.start('holdSeedLock', { path: at.path })
	await old.expect('holding')
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 100 }), (error) => {
		assert.equal(error.code, 'LOCK_TIMEOUT')
		assert.equal(error.holder.pid, undefined)
		assert.equal(error.holder.alive, null)
		return true
	})
	assert.throws(() => updateRegistrySync(at.path, set('x', 1), { timeoutMs: 0 }), {
		code: 'LOCK_BUSY',
	})
	assert.equal((await inspectLock(at.path)).state, 'held')
	const waiting = updateRegistry(at.path, set('x', 1), LONG)
	old.settle()
	await old.expect('done')
	await waiting
	assert.equal(at.json().x, 1)
})

test('an abandoned lockfile of old argus is taken over', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	leaveOldLockfile(at, 11)
	assert.equal((await inspectLock(at.path)).state, 'stale')
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
	assert.deepEqual(at.others(), [])
})

test('12 processes that meet one abandoned lockfile, 200 rounds: one holder at a time, nothing lost', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const all = puppets(t, 12)
	const marker = `${at.path}.marker`
	for (let round = 1; round <= 200; round += 1) {
		leaveOldLockfile(at, 11)
		for (const each of all)
			each.start('increment', { path: at.path, times: 1, marker, options: LONG })
		for (const each of all) await each.expect('done')
		assert.equal(at.json().count, 12 * round)
	}
	assert.deepEqual(at.others(), [])
})

test('a lockfile from the future grows old like any other; one from 1970 is abandoned', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	leaveOldLockfile(at, -86_400)
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), {
		code: 'LOCK_BUSY',
	})
	const age = Date.now() - statSync(at.lockfile).mtimeMs
	assert.ok(Math.abs(age) < 60_000, `it is dated now, not ${age} ms ago`)
	await updateRegistry(at.path, set('x', 1), { staleMs: 50, timeoutMs: 60_000 })
	assert.equal(at.json().x, 1)
	leaveOldLockfile(at, Date.now() / 1000)
	await updateRegistry(at.path, set('x', 2), { timeoutMs: 0 })
	assert.equal(at.json().x, 2)
})

test('no step of the clock makes a live holder of ours look abandoned', async (t) => {
	const at = folder(t)
	const { settle, done } = await held(at)
	const thief = puppet(t)
	for (const seconds of [0, 4_000_000_000]) {
		utimesSync(at.lockfile, seconds, seconds)
		thief.start('incrementSync', {
			path: at.path,
			times: 1,
			options: { timeoutMs: 50, staleMs: 1 },
		})
		assert.equal((await thief.expect('failed')).code, 'LOCK_TIMEOUT')
		assert.equal((await inspectLock(at.path, { staleMs: 1 })).state, 'held')
	}
	settle()
	await done
	assert.equal(at.json().held, true)
})

test('the guard deleted while held: no overlap, and everybody goes on', async (t) => {
	const at = folder(t)
	const { settle, done } = await held(at)
	unlinkSync(at.guard)
	const other = puppet(t)
	other.start('incrementSync', { path: at.path, times: 1, options: { timeoutMs: 100, staleMs: 1 } })
	const refused = await other.expect('failed')
	assert.equal(refused.code, 'LOCK_TIMEOUT')
	other.start('increment', { path: at.path, times: 1, options: LONG })
	settle()
	await done
	await other.expect('done')
	assert.deepEqual([at.json().held, at.json().count], [true, 1])
	assert.deepEqual(at.others(), [])
})

test('the guard deleted: a holder that can’t be judged from here is asked by its kernel lock, not by its age', async (t) => {
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

test('a folder copied while a lock was held: the copy’s lockfile is judged by its age', async (t) => {
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
	holder.start('hold', { path: at.path, options: LONG })
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
		each.start('increment', { path: at.path, times, marker: `${at.path}.marker`, options: LONG })
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

const replacements = {
	'a symbolic link': (at) => symlinkSync(at.path, at.guard),
	'a dangling symbolic link': (at) => symlinkSync('nowhere', at.guard),
	'a folder': (at) => mkdirSync(at.guard),
	'a FIFO': (at) => execFileSync('mkfifo', [at.guard]),
	'somebody’s file': (at) => writeFileSync(at.guard, 'precious'),
}
for (const [what, replace] of Object.entries(replacements)) {
	test(`the guard replaced by ${what}: a typed error, and nothing is touched`, async (t) => {
		const at = folder(t)
		at.put(print(EMPTY))
		replace(at)
		const refused = { name: 'RegistryError', code: 'IO', path: at.guard }
		await assert.rejects(updateRegistry(at.path, set('x', 1)), refused)
		assert.throws(() => updateRegistrySync(at.path, set('x', 1)), refused)
		assert.equal(at.text(), print(EMPTY))
		assert.deepEqual(at.others(), [])
		if (what === 'somebody’s file') assert.equal(readFileSync(at.guard, 'utf8'), 'precious')
		renameSync(at.guard, `${at.dir}/away`)
		await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	})
}

test('a lockfile that is a FIFO is judged by its age, without hanging', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	execFileSync('mkfifo', [at.lockfile])
	assert.equal((await inspectLock(at.path)).state, 'held')
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), {
		code: 'LOCK_BUSY',
	})
	utimesSync(at.lockfile, 0, 0)
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
	assert.deepEqual(at.others(), [])
})

test('a lockfile from the future that can’t be dated now is abandoned', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	execFileSync('mkfifo', [at.lockfile])
	const tomorrow = Date.now() / 1000 + 86_400
	utimesSync(at.lockfile, tomorrow, tomorrow)
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
	assert.deepEqual(at.others(), [])
})

test('a folder in the lockfile’s place is an error that names it, and stays where it is', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	mkdirSync(at.lockfile)
	utimesSync(at.lockfile, 0, 0)
	const refused = { name: 'RegistryError', code: 'IO', path: at.lockfile }
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), refused)
	assert.deepEqual(at.others(), ['registry.json.lock'])
	assert.equal(at.text(), print(EMPTY))
})

test('a holder that stands between guard and lockfile is named, too', async (t) => {
	const at = folder(t)
	const holder = puppet(t)
	holder.start('increment', { path: at.path, times: 1, options: LONG })
	await holder.expect('done')
	const guard = tryLockExclusive(at.guard)
	await assert.rejects(updateRegistry(at.path, set('x', 1), { timeoutMs: 0 }), (error) => {
		assert.equal(error.code, 'LOCK_BUSY')
		assert.equal(error.holder.pid, holder.pid)
		return true
	})
	guard.release()
})

test('a stale threshold beyond old argus’s keeps the lockfile fresh for it all the same', async (t) => {
	const at = folder(t)
	const { settle, done } = await held(at, { ...LONG, staleMs: Number.POSITIVE_INFINITY })
	utimesSync(at.lockfile, 0, 0)
	while (statSync(at.lockfile).mtimeMs === 0) await delay(20)
	settle()
	await done
})

test('a guard that a power failure left as zeros is a guard', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	writeFileSync(at.guard, Buffer.alloc(1024))
	await updateRegistry(at.path, set('x', 1), { timeoutMs: 0 })
	assert.equal(at.json().x, 1)
})

test('try-locks: one try, shared and exclusive, released once, the file stays', async (t) => {
	const at = folder(t)
	const path = `${at.dir}/exception_registry.lock`
	const first = tryLockShared(path)
	const second = tryLockShared(path)
	assert.equal(first.path, path)
	const busy = { name: 'RegistryError', code: 'LOCK_BUSY', path, message: /another process/ }
	assert.throws(() => tryLockExclusive(path), busy)
	first.release()
	first.release()
	assert.throws(() => tryLockExclusive(path), busy)
	second.release()
	const exclusive = tryLockExclusive(path)
	assert.throws(() => tryLockShared(path), busy)
	if (Symbol.dispose) exclusive[Symbol.dispose]()
	else exclusive.release()
	tryLockShared(path).release()
	assert.ok(existsSync(path))
	assert.throws(() => tryLockShared(`${at.dir}/no/folder.lock`), { code: 'NOT_FOUND' })
	assert.throws(() => tryLockShared(''), { code: 'INVALID_VALUE' })
})

test('inspectLock looks without touching: nothing is created, a stale lockfile keeps its date', async (t) => {
	const at = folder(t)
	assert.deepEqual(await inspectLock(at.path), {
		path: at.path,
		state: 'free',
		guarantee: 'kernel-lock',
	})
	assert.deepEqual(at.others(), [])
	assert.equal(existsSync(at.guard), false)
	leaveOldLockfile(at, -86_400)
	const before = statSync(at.lockfile).mtimeMs
	assert.equal((await inspectLock(at.path)).state, 'held')
	assert.equal(statSync(at.lockfile).mtimeMs, before)
	assert.equal((await inspectLock(`${at.dir}/no/registry.json`)).guarantee, 'unknown')
})

test('reading never locks: it is not held up by a holder', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const { settle, done } = await held(at)
	assert.deepEqual(readRegistrySync(at.path).warnings, [])
	settle()
	await done
})
