'use strict'

// A watcher's heartbeat: its entry, renewed until it is stopped.

const { resolve } = require('node:path')
const timers = require('node:timers')
const { heartbeatWatcher, removeWatcher } = require('./entries.js')
const { RegistryError, emitProcessWarning, messageOf } = require('../errors.js')
const {
	invalidArgument,
	checkCall,
	checkFunction,
	flag,
	interval,
	optional,
	refuseCodec,
} = require('../options.js')
const { runOutsideScopes } = require('../locking/queue.js')

/** Source: argus. */
const DEFAULT_INTERVAL_MS = 15_000

/**
 * A pause is shorter than the interval by a random part of this share: ten watchers that were
 * started together don't beat together for long.
 */
const JITTER = 0.25

const warnAbout = (path) => (error) => {
	const code = error instanceof RegistryError ? error.code : undefined
	emitProcessWarning(`heartbeat of ${path}: ${messageOf(error)}`, code)
}

const lost = (path, id) =>
	new RegistryError(
		'ENTRY_LOST',
		`the entry '${id}' in ${path} was removed, or is another watcher's by now, so it was not renewed; announce the watcher again, or stop its heartbeat`,
		{ path },
	)

const startRegistryHeartbeat = (path, getWatcher, options = {}) => {
	// Checked now: a beat has nobody to throw at. What the file system says is for a beat to tell.
	checkCall(path, options)
	refuseCodec(path, options)
	checkFunction(path, 'getWatcher', getWatcher)
	const intervalMs = interval(path, options.intervalMs, DEFAULT_INTERVAL_MS)
	const warn = warnAbout(path)
	const onError = optional(path, 'onError', options.onError, 'function', 'a function') ?? warn
	const keepAlive = flag(path, 'keepAlive', options.keepAlive, false)
	// The working folder may be another by the time of a beat.
	const file = resolve(path)
	// To end it there is `stop`: a signal that is aborted would only make all beats fail.
	const update = { ...options, signal: undefined }

	/** Tells of an error, whatever that does: a watcher must not end of it. */
	const report = async (error) => {
		try {
			await onError(error)
		} catch (another) {
			warn(another)
		}
	}

	const getRecord = async () => {
		const watcher = await getWatcher()
		// An id or a claim would do for the addon, but is not what was asked for.
		if (typeof watcher?.host === 'string') return watcher
		throw invalidArgument(file, 'getWatcher must return a whole record')
	}

	const beat = async () => {
		try {
			const watcher = await getRecord()
			if (!(await heartbeatWatcher(file, watcher, update))) throw lost(file, watcher.id)
		} catch (error) {
			// Not waited for: who stops the heartbeat from in there would wait for itself.
			report(error)
		}
	}

	let timer
	let beating
	let isStopped = false
	const schedule = () => {
		const run = async () => {
			// Known to `stop` before `getWatcher` is called, which may call it.
			beating = Promise.resolve().then(beat)
			await beating
			if (!isStopped) schedule()
		}
		// Whoever starts it inside of an update is not inside any more when it beats.
		timer = runOutsideScopes(() =>
			timers.setTimeout(run, intervalMs * (1 - JITTER * Math.random())),
		)
		if (!keepAlive) timer.unref()
	}
	schedule()

	const stop = async (how) => {
		isStopped = true
		timers.clearTimeout(timer)
		await beating
		if (!how?.remove) return false
		try {
			return await removeWatcher(file, await getRecord(), update)
		} catch (error) {
			await report(error)
			return false
		}
	}
	return { stop }
}

module.exports = { startRegistryHeartbeat }
