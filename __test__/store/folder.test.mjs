// What a registry in a folder does beyond a file: the kernel says which claims live, heartbeats wait for nothing,
// and what a folder can't do is refused.

import assert from 'node:assert/strict'
import {
	mkdirSync,
	readdirSync,
	readFileSync,
	statSync,
	symlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	inspectLock,
	pruneStaleWatchers,
	readRegistry,
	readRegistrySync,
	removeWatcher,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	withRegistryLock,
} from '../../index.js'
import { print, record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet } from '../support/processes.mjs'
import { skipIf } from '../support/skip.mjs'
import { inFolder } from '../support/stores.mjs'

/** A watcher of another machine, as far as its record tells: nothing but the claim's lock says that it lives. */
const remote = (id, more) => record(id, { host: '192.0.2.1', ...more })

const entryOf = ({ path }, name) => join(path, 'watchers', name)

/** Another process with a claim on `app`. */
const claimant = async (t, at, task = 'claim') => {
	const other = puppet(t)
	other.start(task, { path: at.path, watcher: remote('app'), options: UP_TO_A_MINUTE })
	const claim = await other.expect('claimed')
	await other.expect('done')
	return { other, claim }
}

/** The ids that pruning by liveness removes, in the moment of the call. */
const pruneDead = async ({ path }) => {
	const pruned = await pruneStaleWatchers(path, { ...UP_TO_A_MINUTE, liveness: true })
	return pruned.map(({ id, reason }) => `${id} ${reason}`)
}

test('a process that was killed is known dead at once, and its id is free', async (t) => {
	const at = inFolder(t)
	const { other } = await claimant(t, at)
	assert.deepEqual(await pruneDead(at), [])
	assert.equal((await claimWatcher(at.path, remote('app'), UP_TO_A_MINUTE)).claim.id, 'app-2')
	await other.kill()
	assert.equal((await claimWatcher(at.path, remote('app'), UP_TO_A_MINUTE)).claim.id, 'app')
	const next = await claimant(t, at)
	assert.equal(next.claim.id, 'app-3')
	await next.other.kill()
	assert.deepEqual(await pruneDead(at), ['app-3 dead'])
})

test('a process that is frozen lives', {
	skip: skipIf(process.platform === 'win32', 'Windows has no SIGSTOP'),
}, async (t) => {
	const at = inFolder(t)
	const { other } = await claimant(t, at)
	other.signal('SIGSTOP')
	assert.deepEqual(await pruneDead(at), [])
	assert.equal((await claimWatcher(at.path, remote('app'), UP_TO_A_MINUTE)).claim.id, 'app-2')
	other.signal('SIGCONT')
})

test('a process that has exited with its claims is known dead at once', async (t) => {
	const at = inFolder(t)
	const { other } = await claimant(t, at)
	other.start('exit')
	await other.expect('exit')
	assert.deepEqual(at.ids(), ['app'])
	assert.deepEqual(await pruneDead(at), ['app dead'])
})

test("a worker thread's claim is the process's, also when the thread is over", async (t) => {
	const at = inFolder(t)
	const { other, claim } = await claimant(t, at, 'claimInWorker')
	assert.deepEqual(await pruneDead(at), [])
	other.start('renew', { path: at.path, entry: claim })
	assert.equal(await other.expect('renewed'), true)
	await other.expect('done')
	await other.kill()
	assert.deepEqual(await pruneDead(at), ['app dead'])
})

test('an entry that another process has removed is lost, and is not brought back', async (t) => {
	const at = inFolder(t)
	const { other, claim } = await claimant(t, at)
	other.start('renew', { path: at.path, entry: claim })
	assert.equal(await other.expect('renewed'), true)
	await other.expect('done')
	assert.equal(await removeWatcher(at.path, claim, UP_TO_A_MINUTE), true)
	other.start('renew', { path: at.path, entry: claim })
	assert.equal(await other.expect('renewed'), false)
	assert.deepEqual(at.ids(), [])
	// Of the id's next owner, the process renews nothing either.
	await claimWatcher(at.path, remote('app'), UP_TO_A_MINUTE)
	await other.expect('done')
	other.start('renew', { path: at.path, entry: claim })
	assert.equal(await other.expect('renewed'), false)
})

test('an entry is a file of its own, as JSON.stringify prints the record', async (t) => {
	const at = inFolder(t)
	const { watcher } = await claimWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	assert.equal(readFileSync(entryOf(at, 'app.json'), 'utf8'), print(watcher))
	await heartbeatWatcher(at.path, 'app')
	assert.equal(readFileSync(entryOf(at, 'app.json'), 'utf8'), print(watcher), 'its file is dated')
	// On Windows, where a locked file can't be read, another file carries the claim's lock.
	const files = process.platform === 'win32' ? ['app.json', 'app.lock'] : ['app.json']
	assert.deepEqual(readdirSync(join(at.path, 'watchers')), files)
})

test('every spelling of the path leads to one registry', async (t) => {
	const at = inFolder(t)
	const root = at.path.slice(0, -1)
	// Without a separator, a folder that is not there would be a file.
	const { claim } = await claimWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	const link = join(dirname(root), 'link')
	symlinkSync(root, link, 'junction')
	const spellings = [
		root,
		link,
		join(link, '/'),
		relative(process.cwd(), root),
		pathToFileURL(at.path),
	]
	for (const path of spellings) {
		assert.equal(await heartbeatWatcher(path, claim), true)
		assert.equal(await heartbeatWatcher(path, 'app', UP_TO_A_MINUTE), true)
		assert.deepEqual(Object.keys((await readRegistry(path)).registry.watchers), ['app'])
		assert.deepEqual(Object.keys((await updateRegistry(path, (same) => same)).watchers), ['app'])
		assert.equal((await inspectLock(path)).path, root)
		assert.equal((await claimWatcher(path, record('b'), UP_TO_A_MINUTE)).claim.id, 'b')
		assert.equal(await removeWatcher(path, 'b', UP_TO_A_MINUTE), true)
	}
	assert.deepEqual(await inspectLock(at.path), {
		path: root,
		state: 'free',
		guarantee: 'kernel-lock',
	})
})

test('a heartbeat waits for no update, not even from inside of one', async (t) => {
	const at = inFolder(t)
	const updatedAt = 1_700_000_000_000
	const { claim, watcher } = await claimWatcher(
		at.path,
		record('app', { updatedAt }),
		UP_TO_A_MINUTE,
	)
	await updateRegistry(
		at.path,
		async (registry) => {
			for (const entry of [claim, watcher, 'app']) {
				assert.equal(await heartbeatWatcher(at.path, entry), true)
			}
			registry.watchers.b = {}
			return registry
		},
		UP_TO_A_MINUTE,
	)
	assert.ok(at.watchers().app.updatedAt > updatedAt, 'and the update does not undo it')
	assert.deepEqual(at.ids(), ['app', 'b'])
})

/** Collects what is not used any more, and lets the addon finish it. */
const collectGarbage = async () => {
	setFlagsFromString('--expose-gc')
	for (let round = 0; round < 3; round += 1) {
		runInNewContext('gc')()
		await setImmediate()
	}
}

test('the updater runs again if a watcher has claimed the id of an entry that it adds', async (t) => {
	const at = inFolder(t)
	const seen = []
	const add = (registry) => {
		seen.push(Object.keys(registry.watchers))
		registry.watchers[registry.watchers.app ? 'app-2' : 'app'] = { added: true }
		return registry
	}
	const claimMeanwhile = async (registry) => {
		if (seen.length === 0) await claimant(t, at)
		// The wait for the lock is over. That its object is collected must not be taken for the caller's abort.
		await collectGarbage()
		return add(registry)
	}
	await updateRegistry(at.path, claimMeanwhile, UP_TO_A_MINUTE)
	assert.deepEqual(seen, [[], ['app']])
	const { app, 'app-2': added } = at.watchers()
	assert.deepEqual([app.host, added], ['192.0.2.1', { added: true }])
	// Updates that are committed together, of which one adds two.
	await Promise.all([
		updateRegistry(
			at.path,
			(r) => ({ ...r, watchers: { ...r.watchers, x: {}, y: {} } }),
			UP_TO_A_MINUTE,
		),
		updateRegistry(at.path, (r) => ({ ...r, watchers: { ...r.watchers, z: {} } }), UP_TO_A_MINUTE),
	])
	assert.deepEqual(at.ids(), ['app', 'app-2', 'x', 'y', 'z'])
})

test('what a watcher claims between two commits of a batch stays', async (t) => {
	const at = inFolder(t)
	const first = updateRegistry(
		at.path,
		(r) => ({ ...r, watchers: { a: { n: 1 } } }),
		UP_TO_A_MINUTE,
	)
	let claimed
	const second = updateRegistry(
		at.path,
		async (registry) => {
			// The first one's change is committed before.
			await first
			claimed = await claimant(t, at)
			registry.watchers.a.n += 1
			return registry
		},
		UP_TO_A_MINUTE,
	)
	await second
	assert.deepEqual(at.ids(), ['a', 'app'])
	assert.equal(at.watchers().a.n, 2)
	claimed.other.start('renew', { path: at.path, entry: claimed.claim })
	assert.equal(await claimed.other.expect('renewed'), true)
})

test('what a folder can not do is refused, and the message says what to use instead', async (t) => {
	const at = inFolder(t)
	const unsupported = (message) => ({
		name: 'RegistryError',
		code: 'UNSUPPORTED',
		path: at.path,
		message,
	})
	const never = () => assert.fail('it must not run')
	await assert.rejects(withRegistryLock(at.path, never), unsupported(/by an update|registry file/))
	const withNote = (registry) => ({ ...registry, note: 1 })
	await assert.rejects(
		updateRegistry(at.path, withNote, UP_TO_A_MINUTE),
		unsupported(/registry file/),
	)
	assert.throws(
		() => updateRegistrySync(at.path, withNote, UP_TO_A_MINUTE),
		unsupported(/registry file/),
	)
	const { claim } = await claimant(t, at)
	const change = (registry) => {
		registry.watchers.app.port = 7
		return registry
	}
	await assert.rejects(
		updateRegistry(at.path, change, UP_TO_A_MINUTE),
		unsupported(/let that process/),
	)
	const changed = { ...at.watchers().app, port: 7 }
	await assert.rejects(heartbeatWatcher(at.path, changed), unsupported(/let that process/))
	assert.equal(at.watchers().app.port, 9222)
	// By its claim, any process may renew it.
	assert.equal(await heartbeatWatcher(at.path, claim), true)
})

test('damaged entries are warnings, are kept, and are in the way of no other', async (t) => {
	const at = inFolder(t)
	mkdirSync(join(at.path, 'watchers'), { recursive: true })
	const damaged = entryOf(at, 'bad.json')
	writeFileSync(damaged, '{"id":')
	await claimWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	for (const { registry, warnings } of [await readRegistry(at.path), readRegistrySync(at.path)]) {
		assert.deepEqual(Object.keys(registry.watchers), ['app'])
		assert.deepEqual(
			warnings.map(({ code, path }) => ({ code, path })),
			[{ code: 'DAMAGED_ENTRY', path: damaged }],
		)
		assert.match(warnings[0].message, /repair the file or move it away/)
	}
	const warned = []
	const watch = watchRegistry(at.path, { onWarning: ({ code }) => warned.push(code) })
	t.after(() => watch.return())
	assert.deepEqual(Object.keys((await watch.next()).value.watchers), ['app'])
	assert.deepEqual(warned, ['DAMAGED_ENTRY'])
	await assert.rejects(announceWatcher(at.path, record('bad'), UP_TO_A_MINUTE), {
		code: 'INVALID_VALUE',
	})
	assert.equal((await claimWatcher(at.path, record('bad'), UP_TO_A_MINUTE)).claim.id, 'bad-2')
	assert.equal(readFileSync(damaged, 'utf8'), '{"id":')
})

test('a removal that waits for the lock can be aborted, and does nothing then', async (t) => {
	const at = inFolder(t)
	await claimWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	const holder = puppet(t)
	holder.start('holdEntries', { path: at.path, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	const aborter = new AbortController()
	const removal = removeWatcher(at.path, 'app', { ...UP_TO_A_MINUTE, signal: aborter.signal })
	const soon = removeWatcher(at.path, 'app', { timeoutMs: 0, durable: false })
	await assert.rejects(soon, { code: 'LOCK_BUSY' })
	aborter.abort('no')
	await assert.rejects(removal, { code: 'ABORTED', cause: 'no' })
	await assert.rejects(
		removeWatcher(at.path, 'app', { timeoutMs: 30 }),
		({ code, path, holder: by }) => {
			assert.deepEqual([code, path, by.pid], ['LOCK_TIMEOUT', at.path, holder.pid])
			return true
		},
	)
	holder.settle()
	await holder.expect('done')
	assert.deepEqual(at.ids(), ['app', 'held'])
})

test('a change is read however soon it comes, and whatever the date of the file is', async (t) => {
	const at = inFolder(t)
	await announceWatcher(at.path, record('app', { port: 1_000 }), UP_TO_A_MINUTE)
	const file = entryOf(at, 'app.json')
	const text = readFileSync(file, 'utf8')
	const { mtime } = statSync(file)
	for (let number = 1; number < 200; number += 1) {
		writeFileSync(file, text.replace('1000', `${1_000 + number}`))
		utimesSync(file, mtime, mtime)
		const { registry } = await readRegistry(at.path)
		assert.equal(registry.watchers.app.port, 1_000 + number)
		assert.equal(at.watchers().app.port, 1_000 + number)
		// Its times are over: it is not read again until it changes.
		if (number % 50 === 0) await delay(150)
	}
	assert.equal(at.watchers().app.port, 1_199)
	await removeWatcher(at.path, 'app', UP_TO_A_MINUTE)
	assert.deepEqual(at.ids(), [])
})
