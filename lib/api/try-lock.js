'use strict'

// Kernel locks on files of the caller's own, in one try.

/** @import { KernelLock } from '../../index.js' */
/** @import { TryLock } from '../addon/addon.d.ts' */

const native = require('../addon/load.js')
const { unwrap } = require('../errors.js')
const { giveUpIfLeaving } = require('../locking/thread-state.js')
const { checkPath } = require('../options.js')

/**
 * The locks that are held. Without a reference from here the garbage collector would release a lock
 * whose object the caller did not keep.
 *
 * @type {Set<TryLock>}
 */
const heldLocks = new Set()

/**
 * @param {string | URL} lockPath
 * @param {boolean} shared
 * @returns {KernelLock}
 */
const tryLock = (lockPath, shared) => {
	giveUpIfLeaving()
	const path = checkPath(lockPath, 'lockPath')
	const held = unwrap(native.tryLock(path, shared))
	heldLocks.add(held)
	const release = () => {
		heldLocks.delete(held)
		unwrap(held.release())
	}
	const lock = { path, release, ...(Symbol.dispose && { [Symbol.dispose]: release }) }
	// A cast, because index.d.ts declares Symbol.dispose, which older runtimes don't have. They have
	// no `using` either.
	return /** @type {KernelLock} */ (lock)
}

/** @param {string | URL} lockPath */
const tryLockShared = (lockPath) => tryLock(lockPath, true)

/** @param {string | URL} lockPath */
const tryLockExclusive = (lockPath) => tryLock(lockPath, false)

module.exports = { tryLockExclusive, tryLockShared }
