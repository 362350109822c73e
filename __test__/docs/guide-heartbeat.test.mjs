// docs/how-to/adopting-in-argus.md: the heartbeat of a watcher.

import assert from 'node:assert/strict'
import { closeSync, openSync, unlinkSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { cleanUp } from '../support/cleanup.mjs'
import { EMPTY, print } from '../support/folder.mjs'
import { argus, core, ends, home, record, started, watcher } from '../support/guide-home.mjs'
import { acquireOlderArgusLock, updateWithOlderArgusLock } from '../support/older-argus-lock.mjs'

/** What the code prints on the console, which is not printed there. */
const listen = (t) => {
	const { error } = console
	const said = []
	console.error = (...words) => said.push(words)
	cleanUp(t, () => {
		console.error = error
	})
	return said
}

/**
 * Waits until a condition holds, however slow the machine is; not for ever, as the code may be
 * broken.
 */
const until = async (holds) => {
	const deadline = Date.now() + 20_000
	while (!holds()) {
		assert.ok(Date.now() < deadline, `still not so: ${holds}`)
		await delay(5)
	}
}

/** A heartbeat, and how to wait for its next renewals. */
const beating = (own) => {
	let beats = 0
	const getWatcher = () => {
		beats += 1
		return own
	}
	const { stop } = watcher.startRegistryHeartbeat(getWatcher, 5)
	ends.push(stop)
	const nextBeats = (count) => {
		const enough = beats + count
		return until(() => beats >= enough)
	}
	return { stop, nextBeats }
}

test('a heartbeat renews the entry and dates the record, until it is stopped', async (t) => {
	const at = home(t)
	const own = await started('app', { updatedAt: 1 })
	const { stop, nextBeats } = beating(own)
	own.cwd = '/changed'
	await nextBeats(2)
	await until(() => at.json().watchers.app.cwd === '/changed')
	assert.ok(own.updatedAt > 1)
	await stop()
	const text = at.text()
	await delay(30)
	assert.equal(at.text(), text)
})

/** A heartbeat whose first renewal waits for the lock, and how to let it go on. */
const waitingBeat = async (at, own) => {
	const release = await acquireOlderArgusLock(at.path)
	ends.push(release)
	const { stop, nextBeats } = beating(own)
	await nextBeats(1)
	return { stop, nextBeats, release }
}

for (const isStopped of [true, false]) {
	const how = isStopped ? 'stopped' : 'still running'
	test(`a renewal under way does not bring a removed entry back (heartbeat ${how})`, async (t) => {
		const at = home(t)
		const said = listen(t)
		const own = await started('app')
		const { stop, nextBeats, release } = await waitingBeat(at, own)
		const over = [watcher.removeWatcher('app'), ...(isStopped ? [stop()] : [])]
		await release()
		await Promise.all(over)
		if (!isStopped) await nextBeats(4)
		await stop()
		assert.deepEqual(at.json().watchers, {})
		assert.deepEqual(said, [])
	})
}

test('an entry that was pruned while its watcher slept comes back', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	beating(own)
	for (let round = 0; round < 3; round += 1) {
		await core.removeWatcherAndPersist('app')
		await until(() => at.json().watchers.app)
	}
	assert.equal(at.json().watchers.app.port, own.port)
	assert.deepEqual(said, [])
})

test('an entry that is another watcher’s by now is left alone until it is free', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	const { nextBeats } = beating(own)
	const theirs = record('app', { pid: 1, startedAt: 1 })
	await core.updateRegistry((registry) => core.setWatcherEntry(registry, theirs))
	await nextBeats(6)
	assert.deepEqual(at.json().watchers.app, theirs)
	assert.equal(said[0].length, 1)
	assert.match(
		said[0][0],
		/^\[ArgusWatcher\] The heartbeat of app failed: ENTRY_LOST: .*another watcher's$/,
	)
	await core.removeWatcherAndPersist('app')
	await until(() => at.json().watchers.app?.pid === process.pid)
})

test('a heartbeat that was stopped while its entry was pruned brings nothing back', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	const { stop, release } = await waitingBeat(at, own)
	at.put(print(EMPTY))
	const stopped = stop()
	await release()
	await stopped
	assert.deepEqual(at.json(), EMPTY)
	assert.deepEqual(said, [])
})

test('stopping waits for the renewal under way', async (t) => {
	const at = home(t)
	const own = await started('app')
	const { stop, release } = await waitingBeat(at, { ...own, cwd: '/changed' })
	const stopped = stop()
	await release()
	await stopped
	assert.equal(at.json().watchers.app.cwd, '/changed')
})

test('stopping waits for the announcement under way, which then enters nothing', async (t) => {
	const at = home(t)
	const own = await started('app')
	at.put(print(EMPTY))
	let asked = 0
	const { stop } = watcher.startRegistryHeartbeat(() => {
		asked += 1
		// At the start, for the renewal, and to enter the watcher again: that has to wait.
		if (asked === 3) closeSync(openSync(at.lockfile, 'wx'))
		return own
	}, 5)
	ends.push(stop)
	await until(() => asked >= 3)
	let isOver = false
	const stopped = stop().then(() => {
		isOver = true
	})
	await delay(20)
	assert.equal(isOver, false)
	unlinkSync(at.lockfile)
	await stopped
	assert.deepEqual(at.json(), EMPTY)
})

test('a heartbeat that fails reports it and goes on; the process lives', async (t) => {
	const at = home(t)
	at.put('{"version":2}')
	const failing = await argus(t, at)
	const { first, times } = await failing.do('beat', { record: record('app'), times: 5 })
	assert.equal(times, 5)
	assert.equal(first.length, 1)
	assert.match(first[0], /^\[ArgusWatcher\] The heartbeat of app failed: UNSUPPORTED_VERSION: .+$/)
	// The process lives, and does a task.
	at.put(print(EMPTY))
	assert.deepEqual(await failing.do('start', { record: record('app'), times: 1 }), ['app'])
})

test('an old watcher’s heartbeat overwrites the entry, and the new watcher’s does not undo that', async (t) => {
	const at = home(t)
	const said = listen(t)
	const own = await started('app')
	const old = record('app', { pid: 1, startedAt: 1 })
	await updateWithOlderArgusLock(at.path, (registry) => core.setWatcherEntry(registry, old))
	const { nextBeats } = beating(own)
	await nextBeats(4)
	assert.deepEqual(at.json().watchers.app, old)
	assert.ok(said.length > 0)
})
