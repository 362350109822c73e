'use strict'

// The updates that the running code is inside of: which locks are held there, and what an updater of a batch reads
// that is not in the file yet.

/** @import { Content } from '../codec/content.js' */
/** @import { Scope, Unwritten } from './thread-state.js' */

const { isLeaving, state } = require('./thread-state.js')

const { scopes, heldSync } = state

/**
 * The innermost of the updates around the running code for which a test holds.
 *
 * @param {(scope: Scope) => boolean} test
 */
const findScope = (test) => {
	for (let scope = scopes.getStore(); scope; scope = scope.outer) {
		// A timer that was started inside is no longer inside when the update is over. An update that the
		// thread's end has interrupted is over, too.
		if (scope.active && scope.whileLeaving === isLeaving() && test(scope)) return scope
	}
	return undefined
}

/**
 * Whether the running code is inside of an update under the lock.
 *
 * @param {string} lockName
 */
const isInside = (lockName) => findScope((scope) => scope.lockName === lockName) !== undefined

/**
 * The content from which the updater started that the running code is inside of, if the file does not hold that
 * content yet. An updater that read the file instead would undo the updates before it in its batch.
 *
 * @param {() => string | undefined} nameOf Returns the one name of the file or folder; asked only where there is such
 *   content, since it asks the system.
 * @returns {Content | undefined}
 */
const unwrittenContent = (nameOf) => {
	if (!findScope(({ unwritten }) => unwritten !== undefined)) return undefined
	const name = nameOf()
	return findScope(({ unwritten }) => unwritten?.name === name)?.unwritten?.content
}

/**
 * Runs the caller's code in the scope of an update under the lock, which lasts until `exit`.
 *
 * @template R
 * @param {string} lockName
 * @param {() => R} body
 * @param {Unwritten} [unwritten]
 */
const runInScope = (lockName, body, unwritten) => {
	/** @type {Scope} */
	const scope = {
		lockName,
		unwritten,
		active: true,
		whileLeaving: isLeaving(),
		outer: scopes.getStore(),
	}
	const exit = () => {
		scope.active = false
		// A timer that was started inside keeps the scope, and would keep the content in memory.
		scope.unwritten = undefined
	}
	try {
		return { result: scopes.run(scope, body), exit }
	} catch (error) {
		exit()
		throw error
	}
}

/**
 * Like `runInScope`, for code that is over when it returns.
 *
 * @template R
 * @param {string} lockName
 * @param {() => R} body
 */
const runInSyncScope = (lockName, body) => {
	heldSync.add(lockName)
	try {
		const { result, exit } = runInScope(lockName, body)
		exit()
		return result
	} finally {
		heldSync.delete(lockName)
	}
}

/**
 * Runs code that does not count as inside of any update, whichever update has started it.
 *
 * @template R
 * @param {() => R} body
 */
const runOutsideScopes = (body) => scopes.run(undefined, body)

module.exports = { isInside, runInScope, runInSyncScope, runOutsideScopes, unwrittenContent }
