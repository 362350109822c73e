// One watcher's entry: claimed, renewed by a heartbeat, removed. Every record that is sent carries
// the number of its beat, so that the file can be held to the beats that were acknowledged.

import * as locked from '../index.js'
import { clock } from './clock.mjs'
import * as unlocked from './unlocked.mjs'

/**
 * The entry of a watcher process, which asks for the id `asksFor`. `tell` gets a report of each
 * operation; one with an `error` is not acknowledged.
 */
export const watcherEntry = (settings, tell) => {
	const { id, asksFor, host, port, path, options, beatMs, withoutLock } = settings
	const { claimWatcher, startRegistryHeartbeat } = withoutLock ? unlocked : locked
	let record
	let claim
	let heartbeat
	/** The beat that is under way. */
	let beat
	/** The last beat that was acknowledged; undefined while it has no entry to count on. */
	let acknowledged
	let entered
	let isLeaving = false
	let failure

	const begin = (what, details) => ({ id, pid: process.pid, what, startedAt: clock(), ...details })
	const end = (report, error) =>
		tell({ ...report, ...(error && { error: String(error) }), endedAt: clock() })

	const takeBeat = () => {
		const taken = beat
		beat = undefined
		return taken
	}

	const getWatcher = async () => {
		// Asked for the next one: the one before is in the file, or onError has had it.
		const done = takeBeat()
		if (done) {
			acknowledged = done.beats
			await end(done)
		}
		// Asked for the record to remove.
		if (isLeaving) return record
		record = { ...record, beats: record.beats + 1 }
		beat = begin('beat', { claim, beats: record.beats })
		return record
	}

	const onError = async (error) => {
		const failed = takeBeat()
		const isLost = error.code === 'ENTRY_LOST'
		if (isLost) {
			acknowledged = undefined
			entered = enterAgain()
		}
		if (failed) await end({ ...failed, isLost }, error)
		// It was the removal; what is lost is removed.
		else if (!isLost) failure = error
	}

	const enter = async () => {
		const report = begin('claim')
		const { pid } = process
		const now = Date.now()
		const asked = { id: asksFor, host, port, pid, startedAt: now, updatedAt: now, beats: 0 }
		const claimed = await claimWatcher(path, asked, options)
		record = claimed.watcher
		claim = claimed.claim
		acknowledged = 0
		heartbeat = startRegistryHeartbeat(path, getWatcher, {
			...options,
			intervalMs: beatMs,
			onError,
		})
		await end({ ...report, claim })
	}

	const enterAgain = async () => {
		await heartbeat.stop()
		// It may have been told to leave meanwhile.
		if (!isLeaving) await enter()
	}

	return {
		enter: () => {
			entered = enter()
			return entered
		},
		/** What a registry has under its id, beside what it may count on; undefined without an entry. */
		sighting: ({ watchers }) =>
			acknowledged === undefined ? undefined : { claim, acknowledged, entry: watchers[claim.id] },
		leave: async () => {
			await entered
			const report = begin('leave', { claim })
			isLeaving = true
			await heartbeat.stop({ remove: true })
			await end(report, failure)
		},
	}
}
