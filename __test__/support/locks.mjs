// Locks for tests: a lockfile that an old argus left, and a lock that this process holds.

import { utimesSync, writeFileSync } from 'node:fs'
import { updateRegistry } from '../../index.js'
import { UP_TO_A_MINUTE } from './options.mjs'

/** A lockfile as an older argus leaves it, dated so many seconds ago. */
export const leaveOldLockfile = (at, secondsAgo) => {
	writeFileSync(at.lockfile, '')
	const date = Date.now() / 1000 - secondsAgo
	utimesSync(at.lockfile, date, date)
}

/** Starts an update and waits until it is in its updater; `settle` lets it go on. */
export const held = async (at, options = UP_TO_A_MINUTE) => {
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

/** The queues of this thread, which all copies of the package in it share. */
export const queues = () => globalThis[Symbol.for('argus-registry.queues.4')].queues
