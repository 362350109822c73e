// Folders, disks and files that refuse to be read or written.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync } from 'node:fs'
import { test } from 'node:test'
import { readRegistry, readRegistrySync, updateRegistry } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { isRoot, run, runUnprivileged } from '../support/script.mjs'
import { canMountTmpfs, skipIf } from '../support/skip.mjs'

test('a read-only folder: permission denied, old content intact, and reading works', {
	skip: skipIf(process.platform === 'win32', 'Windows has no modes'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	chmodSync(at.path, 0o644)
	chmodSync(at.dir, 0o555)
	const path = JSON.stringify(at.path)
	const [refused, read] = runUnprivileged(
		`console.log(JSON.stringify([
			await outcome(registry.updateRegistry(${path}, (r) => ({ ...r, updatedAt: 1 }))),
			await outcome(registry.readRegistry(${path})),
		]))`,
	)
	const { name, code, cause } = refused
	assert.deepEqual(
		{ name, code, cause },
		{ name: 'RegistryError', code: 'PERMISSION_DENIED', cause: 'EACCES' },
	)
	assert.deepEqual(read.value, { registry: EMPTY, warnings: [] })
	assert.equal(at.text(), print(EMPTY))
	assert.deepEqual(at.others(), [])
})

test('an unreadable file is permission denied, not an empty registry', {
	skip: skipIf(process.platform === 'win32', 'Windows has no modes'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	if (isRoot) chownSync(at.path, 0, 0)
	chmodSync(at.path, 0o000)
	chmodSync(at.dir, 0o777)
	const path = JSON.stringify(at.path)
	const outcomes = runUnprivileged(
		`console.log(JSON.stringify([
			await outcome(registry.updateRegistry(${path}, (r) => ({ ...r, updatedAt: 1 }))),
			await outcome(registry.readRegistry(${path})),
		]))`,
	)
	for (const { code } of outcomes) assert.equal(code, 'PERMISSION_DENIED')
	chmodSync(at.path, 0o600)
	assert.equal(at.text(), print(EMPTY))
})

const bigUpdate = (path) => `
	const path = ${path}
	const fs = await import('node:fs')
	const before = fs.existsSync(path) ? fs.readFileSync(path, 'utf8') : undefined
	const big = 'x'.repeat(200_000)
	const failures = [await outcome(registry.updateRegistry(path, (r) => ({ ...r, big })))]
	failures.push(await outcome((async () => registry.updateRegistrySync(path, (r) => ({ ...r, big })))()))
	const intact = fs.readFileSync(path, 'utf8') === before
	const files = fs.readdirSync(path.slice(0, path.lastIndexOf('/')))
	console.log(JSON.stringify({ failures, intact, files }))`

/** A process whose files can't grow large. */
const withSizeLimit = (command) => {
	// The signal that comes with the limit would end the process before the error is seen.
	return ['sh', '-c', 'trap "" XFSZ; ulimit -f 100; exec "$@"', 'sh', ...command]
}

test('a file-size limit: an error, old content intact, no litter', {
	skip: skipIf(process.platform === 'win32', 'Windows has no limit of file sizes'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const { failures, intact, files } = run(bigUpdate(JSON.stringify(at.path)), {
		wrap: withSizeLimit,
	})
	for (const { name, code, cause } of failures) {
		assert.deepEqual({ name, code, cause }, { name: 'RegistryError', code: 'IO', cause: 'EFBIG' })
	}
	assert.ok(intact)
	assert.deepEqual(files.sort(), ['registry.json', 'registry.json.guard'])
})

test('a write under withRegistryLock that fails fails alone', {
	skip: skipIf(process.platform === 'win32', 'Windows has no limit of file sizes'),
}, (t) => {
	const at = folder(t)
	const text = `
		const outcomes = await registry.withRegistryLock(${JSON.stringify(at.path)}, (lock) => {
			const registry = { version: 1, updatedAt: 0, watchers: {} }
			const writes = [{ ...registry, big: 'x'.repeat(200_000) }, { ...registry, updatedAt: 7 }].map(lock.write)
			return Promise.all(writes.map(outcome))
		})
		console.log(JSON.stringify(outcomes))`
	const [big, small] = run(text, { wrap: withSizeLimit })
	assert.equal(big.cause, 'EFBIG')
	assert.deepEqual(small, {})
	assert.equal(at.json().updatedAt, 7)
})

test('a full disk: an error, old content intact, no litter', {
	skip: skipIf(!canMountTmpfs('size=64k'), 'no tmpfs may be mounted here'),
}, (t) => {
	const at = folder(t)
	const text = `
		registry.updateRegistrySync('/mnt/registry.json', (r) => ({ ...r, updatedAt: 1 }))
		${bigUpdate('"/mnt/registry.json"')}`
	const mount = 'mount -t tmpfs -o size=64k tmpfs /mnt && exec "$@"'
	const { failures, intact, files } = run(text, {
		cwd: at.dir,
		wrap: (command) => ['unshare', '-rm', 'sh', '-c', mount, 'sh', ...command],
	})
	for (const { name, code, cause } of failures) {
		assert.deepEqual({ name, code, cause }, { name: 'RegistryError', code: 'IO', cause: 'ENOSPC' })
	}
	assert.ok(intact)
	assert.deepEqual(files.sort(), ['registry.json', 'registry.json.guard'])
})

test('a registry that is a FIFO is an error, not a hang', {
	skip: skipIf(process.platform === 'win32', 'Windows has no such files'),
}, async (t) => {
	const at = folder(t)
	execFileSync('mkfifo', [at.path])
	await assert.rejects(
		updateRegistry(at.path, (registry) => registry),
		{ code: 'IO' },
	)
	assert.throws(() => readRegistrySync(at.path), { code: 'IO' })
})

test('a registry that is a device is an error, not an empty registry', {
	skip: skipIf(process.platform === 'win32', 'Windows has no such files'),
}, async () => {
	await assert.rejects(readRegistry('/dev/null'), { code: 'IO' })
	assert.throws(() => readRegistrySync('/dev/null'), { code: 'IO' })
})
