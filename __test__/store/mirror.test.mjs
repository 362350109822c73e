// A registry file that is kept in step with a store: older programs know only the file.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	mirrorRegistry,
	readRegistrySync,
	removeWatcher,
} from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { folder, record } from '../support/folder.mjs'
import { updateWithOlderArgusLock } from '../support/older-argus-lock.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppets } from '../support/processes.mjs'
import { forEachStore, inFolder } from '../support/stores.mjs'

const fileOf = ({ path }) => join(dirname(path), 'mirror.json')

const idsIn = (path) => Object.keys(readRegistrySync(path).registry.watchers).sort()

const awaitThat = async (what, isSo) => {
	for (const end = Date.now() + 60_000; !isSo(); await delay(5)) {
		assert.ok(Date.now() < end, `never: ${what}`)
	}
}

const awaitIds = (path, ids) =>
	awaitThat(`${path} has ${ids}`, () => String(idsIn(path)) === String(ids))

const started = async (t, at, options) => {
	const fail = (error) => assert.fail(error)
	const mirror = mirrorRegistry(at.path, at.file ?? fileOf(at), {
		...UP_TO_A_MINUTE,
		onError: fail,
		...options,
	})
	cleanUp(t, () => mirror.stop())
	assert.equal(await mirror.working, true)
	return mirror
}

/** Adds a watcher, or renews it, as an older argus program does. */
const olderAnnounce = (path, watcher) =>
	updateWithOlderArgusLock(
		path,
		(registry) => ({
			...registry,
			updatedAt: Date.now(),
			watchers: { ...registry.watchers, [watcher.id]: watcher },
		}),
		{ timeoutMs: 60_000 },
	)

const olderRemove = (path, id) =>
	updateWithOlderArgusLock(
		path,
		({ watchers: { [id]: _, ...watchers }, ...registry }) => ({ ...registry, watchers }),
		{ timeoutMs: 60_000 },
	)

forEachStore('older programs and newer ones see all watchers', async (at, t) => {
	const file = at.store === 'etcd' ? join(folder(t).dir, 'mirror.json') : fileOf(at)
	const { claim } = await claimWatcher(at.path, record('newer'), UP_TO_A_MINUTE)
	const mirror = await started(t, { path: at.path, file })
	const older = record('older')
	await olderAnnounce(file, older)
	await awaitIds(at.path, ['newer', 'older'])
	assert.deepEqual(idsIn(file), ['newer', 'older'])
	assert.deepEqual(readRegistrySync(at.path).registry.watchers.older, older)
	// A heartbeat of an older program enters the whole record.
	const updatedAt = Date.now() + 5_000
	await olderAnnounce(file, { ...older, updatedAt, port: 7 })
	await awaitThat('the renewal in the store', () => {
		const { watchers } = readRegistrySync(at.path).registry
		return watchers.older.updatedAt === updatedAt && watchers.older.port === 7
	})
	const before = readRegistrySync(file).registry.watchers.newer.updatedAt
	await awaitThat('the renewal in the file', () => {
		heartbeatWatcher(at.path, claim)
		return readRegistrySync(file).registry.watchers.newer.updatedAt > before
	})
	await olderRemove(file, 'older')
	await awaitIds(at.path, ['newer'])
	await olderRemove(file, 'newer')
	await awaitIds(file, ['newer'])
	await removeWatcher(at.path, claim, UP_TO_A_MINUTE)
	await awaitIds(file, [])
	await mirror.stop()
	await announceWatcher(at.path, record('later'), UP_TO_A_MINUTE)
	await delay(100)
	assert.deepEqual(idsIn(file), [])
})

test('of several processes one mirrors at a time, and another takes over when it is killed', async (t) => {
	const at = inFolder(t)
	const file = fileOf(at)
	const [first, second] = puppets(t, 2)
	first.start('mirror', { path: at.path, file })
	await first.expect('started')
	await first.expect('works')
	second.start('mirror', { path: at.path, file })
	await second.expect('started')
	const stopped = mirrorRegistry(at.path, file)
	await announceWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	await awaitIds(file, ['app'])
	await stopped.stop()
	assert.equal(await stopped.working, false)
	await first.kill()
	await second.expect('works')
	await olderAnnounce(file, record('older'))
	await awaitIds(at.path, ['app', 'older'])
})

test('a signal stops the mirror, and a failure is told once', async (t) => {
	const at = inFolder(t)
	await announceWatcher(at.path, record('app'), UP_TO_A_MINUTE)
	const abort = new AbortController()
	const mirror = await started(t, at, { signal: abort.signal })
	abort.abort()
	await mirror.stop()
	const already = mirrorRegistry(at.path, fileOf(at), { signal: abort.signal })
	assert.equal(await already.working, false)
	// Of another store.
	await announceWatcher(join(dirname(at.path), 'other/'), record('app'), UP_TO_A_MINUTE)
	const errors = []
	const other = mirrorRegistry(join(dirname(at.path), 'other/'), fileOf(at), {
		onError: (error) => {
			errors.push(error)
			throw new Error('of onError')
		},
	})
	const warned = once(process, 'warning')
	await awaitThat('an error', () => errors.length > 0)
	assert.equal(errors[0].code, 'INVALID_VALUE')
	assert.match(errors[0].message, /mirror of/)
	assert.match((await warned)[0].message, /of onError/)
	await other.stop()
	assert.equal(await other.working, false)
	assert.equal(errors.length, 1)
})

/** The mirror's thread begins at the moment at which it is stopped: one of many such mirrors said that it worked. */
test('a mirror whose signal is aborted already never says that it works', async (t) => {
	const at = inFolder(t)
	for (let mirror = 0; mirror < 100; mirror += 1) {
		const file = `${fileOf(at)}.${mirror}`
		const { working, stop } = mirrorRegistry(at.path, file, { signal: AbortSignal.abort() })
		assert.equal(await working, false)
		await stop()
	}
})

test('bad arguments are refused at once', (t) => {
	const at = inFolder(t)
	const refused = (...args) => {
		assert.throws(() => mirrorRegistry(...args), { code: 'INVALID_VALUE', name: 'RegistryError' })
	}
	refused(at.path, at.path)
	refused(fileOf(at), dirname(at.path))
	refused(at.path, fileOf(at), { onError: 1 })
	refused(at.path, fileOf(at), { intervalMs: 1 })
	refused(undefined, fileOf(at))
})

test('ids that different watchers have on the two sides are told, and both stay', async (t) => {
	const at = inFolder(t)
	await claimWatcher(at.path, record('app', { port: 1 }), UP_TO_A_MINUTE)
	const errors = []
	await started(t, at, { onError: (error) => errors.push(error.code) })
	await olderAnnounce(fileOf(at), record('app', { port: 2, startedAt: 1 }))
	await awaitThat('an error', () => errors.length > 0)
	assert.deepEqual(errors, ['ID_TAKEN'])
	const port = (path) => readRegistrySync(path).registry.watchers.app.port
	assert.deepEqual([port(at.path), port(fileOf(at))], [1, 2])
	assert.ok(readFileSync(fileOf(at), 'utf8').includes('"port": 2'))
})
