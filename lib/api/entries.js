'use strict'

// The entry operations. The addon does each as a whole, with the lock where that is needed.

/** @import { EntryOptions, PrunedWatcher, WatcherRecord, WatcherRef } from '../../index.js' */
/** @import { LockCall } from '../options.js' */

/**
 * An operation as the addon reads it, from JSON. JSON carries every string and number of
 * JavaScript's.
 *
 * @typedef {{ announce: WatcherRecord }
 *   | { claim: { watcher: WatcherRecord, suffix: boolean, liveness: boolean, ttlMs: number } }
 *   | { heartbeat: RequestedEntry }
 *   | { remove: RequestedEntry }
 *   | { prune: { ttlMs: number, liveness: boolean } }} RequestedOperation
 */

/**
 * The entry that an operation is about.
 *
 * @typedef {{ id: string }
 *   | { claim: { id: string, pid: number, startedAt: number } }
 *   | { record: WatcherRecord }} RequestedEntry
 */

const native = require('../addon/load.js')
const { checkSize } = require('../codec/content.js')
const { objectionToJson } = require('../codec/json-loss.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { DEFAULT_TTL_MS } = require('../codec/registry-schema.js')
const { messageOf, propertyOf, registryError, shown, unwrap } = require('../errors.js')
const { OperationMember, submitOperation } = require('../locking/operations.js')
const {
	UPDATE_OPTIONS,
	flag,
	instant,
	invalidArgument,
	milliseconds,
	prepare,
	wrongArgument,
} = require('../options.js')

/** The whole record that an operation has, if it has one. @param {RequestedOperation} operation */
const watcherOf = (operation) => {
	if ('announce' in operation) return operation.announce
	if ('claim' in operation) return operation.claim.watcher
	return 'heartbeat' in operation && 'record' in operation.heartbeat
		? operation.heartbeat.record
		: undefined
}

/**
 * @param {string} path
 * @param {RequestedOperation} operation
 * @param {number | undefined} now
 */
const serializeOperation = (path, operation, now) => {
	const what = 'the record of a watcher must be what JSON holds'
	/** @type {string} */
	let text
	try {
		text = JSON.stringify({ operation, now })
	} catch (error) {
		throw invalidArgument(path, `${what}, and is not: ${messageOf(error)}; correct it`, error)
	}
	const loss = objectionToJson(watcherOf(operation))
	if (loss !== undefined) throw invalidArgument(path, `${what}, and ${loss}`)
	return text
}

/**
 * @param {LockCall<unknown>} call
 * @param {RequestedOperation} operation
 * @param {EntryOptions | undefined} options
 */
const memberOf = (call, operation, options) => {
	const now = instant(call.path, 'now', options?.now)
	const request = serializeOperation(call.path, operation, now)
	checkSize(call.path, request)
	return new OperationMember(call, unwrap(call.addon.entryOperation(call.path, request)))
}

/** @param {string} path @param {WatcherRecord} watcher */
const checkWatcher = (path, watcher) => {
	if (typeof watcher === 'object' && watcher !== null) return watcher
	throw wrongArgument(path, 'watcher', watcher, 'a record')
}

/**
 * The entry that is meant by an id, a claim, or a whole record.
 *
 * @param {string} path
 * @param {WatcherRef} who
 * @returns {RequestedEntry}
 */
const requestedEntry = (path, who) => {
	if (typeof who === 'string') return { id: who }
	if (Object(who) === who && 'host' in who) return { record: who }
	const [id, pid, startedAt] = ['id', 'pid', 'startedAt'].map((name) => propertyOf(who, name))
	const isNumber = (/** @type {unknown} */ value) => Number(value) >= 0
	if (typeof id !== 'string' || !isNumber(pid) || !isNumber(startedAt)) {
		const ways = 'by id, by claim (id, pid and startedAt) or by record'
		throw invalidArgument(path, `entry is ${shown(who)}; name the entry ${ways}`)
	}
	return { claim: { id, pid: who.pid, startedAt: who.startedAt } }
}

const ENTRY_OPTIONS = [...UPDATE_OPTIONS, 'now']

/**
 * @param {string | URL} path
 * @param {EntryOptions | undefined} options
 * @param {string[]} more The names of the options that only this operation has.
 */
const prepareEntry = (path, options, ...more) =>
	prepare(path, registryCodec, options, [...ENTRY_OPTIONS, ...more])

/** @type {typeof import('../../index.js').announceWatcher} */
const announceWatcher = async (path, watcher, options) => {
	const call = prepareEntry(path, options)
	const operation = { announce: checkWatcher(call.path, watcher) }
	await submitOperation(memberOf(call, operation, options))
}

/** @type {typeof import('../../index.js').claimWatcher} */
const claimWatcher = async (path, record, options) => {
	const call = prepareEntry(path, options, 'suffix', 'liveness', 'ttlMs')
	const suffix = flag(call.path, 'suffix', options?.suffix, true)
	const liveness = flag(call.path, 'liveness', options?.liveness, true)
	const ttlMs = milliseconds(call.path, 'ttlMs', options?.ttlMs, DEFAULT_TTL_MS)
	const watcher = checkWatcher(call.path, record)
	const operation = { claim: { watcher, suffix, liveness, ttlMs } }
	/** The record as it was entered; or a list with the process that has the id, if it names one. */
	const result = /** @type {WatcherRecord | [number?]} */ (
		await submitOperation(memberOf(call, operation, options))
	)
	if (Array.isArray(result)) {
		throw registryError(native.idTaken(call.path, record.id, result[0]))
	}
	const { id, pid, startedAt } = result
	return { watcher: result, claim: { id, pid, startedAt } }
}

/**
 * Renews the entry of a claim that this process holds in a folder, at once: that waits for no process, and takes
 * less time than all else that a call does. Returns false for all else.
 *
 * @param {string | URL} path
 * @param {WatcherRef} who
 */
const renewsClaim = (path, who) => {
	if (typeof path !== 'string' || typeof who !== 'object' || who === null || 'host' in who)
		return false
	const { id, pid, startedAt } = who
	const isClaim = typeof id === 'string' && typeof pid === 'number' && typeof startedAt === 'number'
	return isClaim && native.renewClaim(path, id, pid, startedAt)
}

/** @type {typeof import('../../index.js').heartbeatWatcher} */
const heartbeatWatcher = async (path, who, options) => {
	if (options === undefined && renewsClaim(path, who)) return true
	const call = prepareEntry(path, options)
	const member = memberOf(call, { heartbeat: requestedEntry(call.path, who) }, options)
	const isAborted = call.signal?.aborted
	if (call.folder && !isAborted && native.renewHeld(call.path, member.operation)) return true
	return /** @type {Promise<boolean>} */ (submitOperation(member))
}

/** @type {typeof import('../../index.js').removeWatcher} */
const removeWatcher = async (path, who, options) => {
	const call = prepareEntry(path, options)
	const operation = { remove: requestedEntry(call.path, who) }
	return /** @type {boolean} */ (await submitOperation(memberOf(call, operation, options)))
}

/** @type {typeof import('../../index.js').pruneStaleWatchers} */
const pruneStaleWatchers = async (path, options) => {
	const call = prepareEntry(path, options, 'ttlMs', 'liveness')
	const ttlMs = milliseconds(call.path, 'ttlMs', options?.ttlMs, DEFAULT_TTL_MS)
	const liveness = flag(call.path, 'liveness', options?.liveness, false)
	const member = memberOf(call, { prune: { ttlMs, liveness } }, options)
	// Alone: with nothing to remove it needs no write access, and others would.
	return /** @type {PrunedWatcher[]} */ (await submitOperation(member, { alone: true }))
}

module.exports = {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
}
