'use strict'

// Kernel locks on files of the caller's own, in one try.

const { unwrap } = require('../errors.js')
const native = require('../addon/load.js')
const { checkPath } = require('../options.js')

/** The collector would take a lock whose object nobody kept for garbage, and release it. */
const heldLocks = new Set()

const tryLock = (path, shared) => {
	const lock = unwrap(native.tryLock(checkPath(path, 'lockPath'), shared))
	heldLocks.add(lock)
	const release = () => {
		heldLocks.delete(lock)
		const failure = lock.release()
		if (failure) unwrap(failure)
	}
	// Older runtimes have no Symbol.dispose; they have no `using` either.
	return { path, release, ...(Symbol.dispose ? { [Symbol.dispose]: release } : {}) }
}

const tryLockShared = (lockPath) => tryLock(lockPath, true)

const tryLockExclusive = (lockPath) => tryLock(lockPath, false)

module.exports = { tryLockExclusive, tryLockShared }
