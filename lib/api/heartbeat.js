'use strict'

// A watcher's heartbeat: its entry, renewed until it is stopped.

/** @import { UpdateOptions, WatcherRecord } from '../../index.js' */

const native = require('../addon/load.js')
const { startTimer } = require('../clock.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { currentContext, runIn } = require('../context.js')
const {
	RegistryError,
	emitProcessWarning,
	messageOf,
	registryError,
	shown,
	unwrap,
} = require('../errors.js')
const { runOutsideScopes } = require('../locking/scopes.js')
const {
	UPDATE_OPTIONS,
	checkCall,
	checkFunction,
	checkOptions,
	flag,
	interval,
	invalidArgument,
	optionalFunction,
} = require('../options.js')
const { heartbeatWatcher, removeWatcher } = require('./entries.js')

const { heartbeatJitter } = native.coreConstants()

/** Without `signal`: an aborted one would only make all updates fail. To end the heartbeat there is `stop`. */
const EACH_UPDATE_OPTIONS = UPDATE_OPTIONS.filter((name) => name !== 'signal')

const HEARTBEAT_OPTIONS = [...EACH_UPDATE_OPTIONS, 'intervalMs', 'onError', 'keepAlive']

/**
 * The default `onError`.
 *
 * @param {string} path
 */
const warnAbout = (path) => (/** @type {unknown} */ error) => {
	const code = error instanceof RegistryError ? error.code : undefined
	emitProcessWarning(`heartbeat of ${path}: ${messageOf(error)}`, code)
}

/** @type {typeof import('../../index.js').startRegistryHeartbeat} */
const startRegistryHeartbeat = (path, getWatcher, options = {}) => {
	// Checked now: a renewal has no caller to throw at. Errors of the file system are reported by
	// renewals.
	const call = checkCall(path, registryCodec, options, HEARTBEAT_OPTIONS)
	checkFunction(call.path, 'getWatcher', getWatcher)
	const intervalMs = interval(call.path, options.intervalMs)
	const warn = warnAbout(call.path)
	const onError = optionalFunction(call.path, 'onError', options.onError) ?? warn
	const keepAlive = flag(call.path, 'keepAlive', options.keepAlive, false)
	// The working folder may be another at the time of a heartbeat.
	const file = call.addon === native ? unwrap(native.absolutePath(call.path)) : call.path
	// An update that starts the heartbeat may be over when the heartbeat updates. `stop` may be called
	// from any context.
	const context = runOutsideScopes(currentContext)
	const update = /** @type {UpdateOptions} */ (
		Object.fromEntries(
			Object.entries(options).filter(([name]) => EACH_UPDATE_OPTIONS.includes(name)),
		)
	)

	/**
	 * Tells `onError` of an error. If that fails too, the process is warned: a watcher must not end
	 * because of it.
	 *
	 * @param {unknown} error
	 */
	const report = async (error) => {
		try {
			await runIn(context, () => onError(error))
		} catch (another) {
			warn(another)
		}
	}

	const getRecord = async () => {
		/** @type {WatcherRecord | undefined} */
		const watcher = await runIn(context, getWatcher)
		// The addon would accept an id or a claim, but `getWatcher` has to return a record.
		if (typeof watcher?.host === 'string') return watcher
		throw invalidArgument(file, `getWatcher returned ${shown(watcher)}; return a whole record`)
	}

	const beat = async () => {
		try {
			const watcher = await getRecord()
			if (!(await heartbeatWatcher(file, watcher, update))) {
				throw registryError(native.entryLost(file, watcher.id))
			}
		} catch (error) {
			// Not awaited: an `onError` that awaits `stop` would wait for itself.
			report(error)
		}
	}

	let stopTimer = () => {}
	/** @type {Promise<void> | undefined} */
	let beating
	let isStopped = false
	const schedule = () => {
		const run = async () => {
			// Known to `stop` before `getWatcher` is called, which may call `stop`.
			beating = Promise.resolve().then(beat)
			await beating
			if (!isStopped) schedule()
		}
		const pauseMs = intervalMs * (1 - heartbeatJitter * Math.random())
		stopTimer = runIn(context, () => startTimer(pauseMs, run, { keepAlive }))
	}
	schedule()

	return {
		stop: async (how) => {
			checkOptions(file, how ?? {}, ['remove'])
			const remove = flag(file, 'remove', how?.remove, false)
			isStopped = true
			stopTimer()
			await beating
			if (!remove) return false
			try {
				return await removeWatcher(file, await getRecord(), update)
			} catch (error) {
				await report(error)
				return false
			}
		},
	}
}

module.exports = { startRegistryHeartbeat }
