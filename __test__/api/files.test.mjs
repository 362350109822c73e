// The file itself: its names, its owner and its mode.

import assert from 'node:assert/strict'
import {
	chmodSync,
	chownSync,
	lstatSync,
	mkdirSync,
	readFileSync,
	readlinkSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import {
	Document,
	inspectLock,
	readRegistrySync,
	updateRegistry,
	updateRegistrySync,
} from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { isRoot, NOBODY, run, runUnprivileged } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

const mode = (path) => (statSync(path).mode & 0o7777).toString(8)

test('two names of one file have one lock', async (t) => {
	const at = folder(t)
	const names = [
		at.path,
		relative(process.cwd(), at.path),
		join(at.dir, '..', at.dir.split('/').pop(), 'registry.json'),
		join(at.dir, 'link.json'),
		join(at.dir, 'folder', 'registry.json'),
	]
	symlinkSync('registry.json', join(at.dir, 'link.json'))
	symlinkSync('.', join(at.dir, 'folder'))
	// Before and after there is a file.
	for (const expected of [5, 10]) {
		const updates = names.map((name) =>
			updateRegistry(name, async (registry) => {
				assert.equal((await inspectLock(at.path)).state, 'held')
				await assert.rejects(
					updateRegistry(at.path, (r) => r),
					{ code: 'RE_ENTRANT' },
				)
				return { ...registry, count: (registry.count ?? 0) + 1 }
			}),
		)
		await Promise.all(updates)
		assert.equal(at.json().count, expected)
	}
	assert.deepEqual(at.others().sort(), ['folder', 'link.json'])
})

test('a path whose real name JavaScript can’t hold is refused, not mistaken for another', {
	skip: skipIf(
		process.versions.deno || process.platform === 'win32',
		'such a folder can’t be made here',
	),
}, async (t) => {
	const at = folder(t)
	const strange = Buffer.concat([Buffer.from(`${at.dir}/caf`), Buffer.from([0xe9])])
	mkdirSync(strange)
	symlinkSync(strange, join(at.dir, 'link'))
	const path = join(at.dir, 'link', 'registry.json')
	await assert.rejects(
		updateRegistry(path, (registry) => registry),
		{ code: 'INVALID_VALUE' },
	)
	assert.equal(at.others().length, 2)
})

test('a path that names no file is refused, and leaves nothing behind', async (t) => {
	const at = folder(t)
	writeFileSync(join(at.dir, 'file'), '')
	const refusals = {
		'file/new.json': 'IO',
		[`${'x'.repeat(218)}`]: 'INVALID_VALUE',
	}
	for (const [name, code] of Object.entries(refusals)) {
		await assert.rejects(
			updateRegistry(`${at.dir}/${name}`, (r) => ({ ...r, updatedAt: 1 })),
			{ name: 'RegistryError', code },
			name,
		)
	}
	assert.deepEqual(at.others(), ['file'])
})

test('a document is a file: the path of a folder is refused, and leaves nothing behind', async (t) => {
	const at = folder(t)
	mkdirSync(join(at.dir, 'folder'))
	for (const [name, code] of Object.entries({
		'': 'INVALID_VALUE',
		folder: 'IO',
		'new.json/': 'INVALID_VALUE',
	})) {
		const document = new Document(`${at.dir}/${name}`, { lock: 'registry', empty: () => 0 })
		await assert.rejects(
			document.update((value) => value + 1),
			{ name: 'RegistryError', code },
			name,
		)
	}
	assert.deepEqual(at.others(), ['folder'])
})

test('a symbolic link stays, and its target gets the update', async (t) => {
	const at = folder(t)
	mkdirSync(join(at.dir, 'target'))
	symlinkSync('target/real.json', at.path)
	for (const updatedAt of [1, 2]) {
		await updateRegistry(at.path, (registry) => ({ ...registry, updatedAt }))
		assert.equal(readlinkSync(at.path), 'target/real.json')
		assert.equal(
			readRegistrySync(join(at.dir, 'target', 'real.json')).registry.updatedAt,
			updatedAt,
		)
	}
	assert.ok(lstatSync(at.path).isSymbolicLink())
})

test('the mode is kept, whatever the umask is', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	for (const bits of [0o600, 0o640, 0o666, 0o400]) {
		chmodSync(at.path, bits)
		const before = mode(at.path)
		updateRegistrySync(at.path, (registry) => ({ ...registry, bits }))
		assert.equal(mode(at.path), before)
	}
})

test('a new registry is readable by all and writable by its owner, less the umask', {
	skip: skipIf(process.platform === 'win32', 'Windows has no modes'),
}, (t) => {
	const at = folder(t)
	const path = JSON.stringify(at.path)
	run(`process.umask(0o027)
		registry.updateRegistrySync(${path}, (r) => ({ ...r, updatedAt: 1 }))
		console.log(1)`)
	assert.equal(mode(at.path), '640')
})

test('a user who may write the registry may open its guard', (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	chmodSync(at.path, 0o666)
	chmodSync(at.dir, 0o777)
	updateRegistrySync(at.path, (registry) => ({ ...registry, updatedAt: 1 }))
	const path = JSON.stringify(at.path)
	runUnprivileged(
		`registry.updateRegistrySync(${path}, (r) => ({ ...r, updatedAt: 2 }))
		console.log(1)`,
	)
	assert.equal(at.json().updatedAt, 2)
})

test('a user who owns a read-only registry may update it, again and again', (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	if (isRoot) chownSync(at.path, NOBODY, NOBODY)
	chmodSync(at.path, 0o444)
	chmodSync(at.dir, 0o777)
	const path = JSON.stringify(at.path)
	runUnprivileged(
		`for (const updatedAt of [1, 2]) registry.updateRegistrySync(${path}, (r) => ({ ...r, updatedAt }))
		console.log(1)`,
	)
	assert.equal(at.json().updatedAt, 2)
	assert.equal(mode(at.path), '444')
})

test('a user who may only read a lock file may take the lock shared', {
	skip: skipIf(process.platform === 'win32', 'Windows has no modes'),
}, (t) => {
	const at = folder(t)
	const path = `${at.dir}/exception_registry.lock`
	writeFileSync(path, '')
	chmodSync(path, 0o444)
	if (isRoot) chownSync(path, 0, 0)
	chmodSync(at.dir, 0o755)
	const [shared, exclusive] = runUnprivileged(
		`const lock = async (take) => take(${JSON.stringify(path)}).release()
		console.log(JSON.stringify([
			await outcome(lock(registry.tryLockShared)),
			await outcome(lock(registry.tryLockExclusive)),
		]))`,
	)
	assert.deepEqual(shared, {})
	assert.equal(exclusive.code, 'PERMISSION_DENIED')
})

test('a registry that is opened to others later opens its guard with the next update', {
	skip: skipIf(process.platform === 'win32', 'Windows has no modes'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	chmodSync(at.path, 0o600)
	chmodSync(at.dir, 0o777)
	updateRegistrySync(at.path, (registry) => ({ ...registry, updatedAt: 1 }))
	assert.equal(mode(at.guard), '600')
	chmodSync(at.path, 0o660)
	updateRegistrySync(at.path, (registry) => ({ ...registry, updatedAt: 2 }))
	assert.equal(mode(at.guard), '660')
})

test('the owner is kept when root updates another user’s registry', {
	skip: skipIf(!isRoot, 'needs root'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	chownSync(at.path, 65_534, 65_534)
	chmodSync(at.path, 0o600)
	chmodSync(at.dir, 0o777)
	updateRegistrySync(at.path, (registry) => ({ ...registry, updatedAt: 1 }))
	const { uid, gid } = statSync(at.path)
	assert.deepEqual([uid, gid, mode(at.path)], [65_534, 65_534, '600'])
	// And its owner can go on, though root has made the guard.
	const path = JSON.stringify(at.path)
	runUnprivileged(
		`registry.updateRegistrySync(${path}, (r) => ({ ...r, updatedAt: 2 }))
		console.log(1)`,
	)
	assert.equal(at.json().updatedAt, 2)
})

test('a process that can’t keep the owner opens the file to no other group, and grants no set-id bits', {
	skip: skipIf(!isRoot, 'needs root'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	chownSync(at.path, 0, 0)
	chmodSync(at.path, 0o4664)
	chmodSync(at.dir, 0o777)
	const path = JSON.stringify(at.path)
	runUnprivileged(
		`registry.updateRegistrySync(${path}, (r) => ({ ...r, updatedAt: 1 }))
		console.log(1)`,
	)
	assert.equal(statSync(at.path).uid, NOBODY)
	assert.equal(mode(at.path), '644')
})

test('a process that can’t keep the owner keeps the group, if it is one of its own', {
	skip: skipIf(!isRoot, 'needs root'),
}, (t) => {
	const at = folder(t)
	const group = 4_444
	at.put(print(EMPTY))
	chownSync(at.path, 0, group)
	chmodSync(at.path, 0o660)
	// In a folder whose new files get the group of the folder.
	chownSync(at.dir, 0, 0)
	chmodSync(at.dir, 0o2777)
	const path = JSON.stringify(at.path)
	runUnprivileged(
		`registry.updateRegistrySync(${path}, (r) => ({ ...r, updatedAt: 1 }))
		console.log(1)`,
		group,
	)
	const { uid, gid } = statSync(at.path)
	assert.deepEqual([uid, gid, mode(at.path)], [NOBODY, group, '660'])
})

test('no file in a folder is open to more users than the registry was', {
	skip: skipIf(process.platform === 'win32', 'Windows has no modes'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	chmodSync(at.path, 0o600)
	const seen = []
	updateRegistrySync(at.path, (registry) => {
		seen.push(mode(at.guard))
		return { ...registry, updatedAt: 1 }
	})
	assert.deepEqual(seen, ['600'])
	assert.match(readFileSync(at.guard, 'utf8'), /^\{"argusRegistryLock":1,/)
})
