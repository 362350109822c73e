// Try-locks: kernel locks on files of the caller's own.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { tryLockExclusive, tryLockShared } from '../../index.js'
import { folder } from '../support/folder.mjs'

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
