// Two copies of the package in one process, as two libraries may have them.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { addonFile, installPackage } from '../support/install.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'

/** Each copy's exports, and its addon's. */
const twoPackages = (at) =>
	['a', 'b'].map((name) => {
		const { dir, addonDir } = installPackage(join(at.dir, name, 'node_modules'))
		const require = createRequire(join(dir, 'package.json'))
		return { copy: require('./index.js'), native: require(join(addonDir, addonFile)) }
	})

const twoCopies = (at) => twoPackages(at).map(({ copy }) => copy)

const bump = (registry) => ({ ...registry, count: (registry.count ?? 0) + 1 })

test('two copies update one registry in order of arrival, and lose nothing', async (t) => {
	const at = folder(t)
	const copies = twoCopies(at)
	assert.notEqual(copies[0].updateRegistry, copies[1].updateRegistry)
	at.put(print(EMPTY))
	const order = []
	const updates = Array.from({ length: 100 }, (_, index) =>
		copies[index % 2].updateRegistry(
			at.path,
			(registry) => {
				order.push(index)
				return bump(registry)
			},
			UP_TO_A_MINUTE,
		),
	)
	await Promise.all(updates)
	assert.deepEqual(order, [...Array(100).keys()])
	for (const copy of copies) copy.updateRegistrySync(at.path, bump, UP_TO_A_MINUTE)
	assert.equal(at.json().count, 102)
})

test('two copies do their operations on one registry in order of arrival, each its own', async (t) => {
	const at = folder(t)
	const strangers = []
	const copies = twoPackages(at).map(({ copy, native }) => {
		const { applyEntries, EntryOperation } = native
		// The other copy may be of another version, with other objects in its memory.
		native.applyEntries = (request, operations, ...how) => {
			strangers.push(...operations.filter((each) => !(each instanceof EntryOperation)))
			return applyEntries(request, operations, ...how)
		}
		return copy
	})
	const watcher = { id: 'app', host: '', port: 1, pid: process.pid, startedAt: 1, updatedAt: 1 }
	const claims = Array.from({ length: 20 }, async (_, index) => {
		const { claim } = await copies[index % 3 === 0 ? 0 : 1].claimWatcher(
			at.path,
			watcher,
			UP_TO_A_MINUTE,
		)
		return claim.id
	})
	const expected = ['app', ...Array.from({ length: 19 }, (_, index) => `app-${index + 2}`)]
	assert.deepEqual(await Promise.all(claims), expected)
	assert.deepEqual(strangers, [])
})

test('two copies refuse to wait for each other’s lock of one caller', async (t) => {
	const at = folder(t)
	const [a, b] = twoCopies(at)
	const refused = { name: 'RegistryError', code: 'RE_ENTRANT' }
	const refuses = () => {
		assert.throws(() => b.updateRegistrySync(at.path, bump, UP_TO_A_MINUTE), refused)
		return assert.rejects(b.updateRegistry(at.path, bump, UP_TO_A_MINUTE), refused)
	}
	await a.updateRegistry(
		at.path,
		async (registry) => {
			await refuses()
			return bump(registry)
		},
		UP_TO_A_MINUTE,
	)
	await a.withRegistryLock(at.path, refuses, UP_TO_A_MINUTE)
	let nested
	a.updateRegistrySync(
		at.path,
		(registry) => {
			nested = refuses()
			return bump(registry)
		},
		UP_TO_A_MINUTE,
	)
	await nested
	assert.equal(at.json().count, 2)
})

test('two copies see each other’s locks, and the holders', async (t) => {
	const at = folder(t)
	const [a, b] = twoCopies(at)
	const lock = a.tryLockExclusive(`${at.dir}/x.lock`)
	assert.throws(() => b.tryLockShared(`${at.dir}/x.lock`), { code: 'LOCK_BUSY' })
	lock.release()
	b.tryLockShared(`${at.dir}/x.lock`).release()
	await a.withRegistryLock(at.path, async () => {
		const { state, holder } = await b.inspectLock(at.path)
		assert.deepEqual([state, holder.pid, holder.alive], ['held', process.pid, true])
	})
	assert.equal((await b.inspectLock(at.path)).state, 'free')
})
