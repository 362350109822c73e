'use strict'

// Mirrors: the addon keeps a registry file in step with another registry, on a thread of its own.

/** @import { MirrorEvent } from '../addon/addon.d.ts' */

const { resultOf } = require('../addon/background.js')
const { startTimer } = require('../clock.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { currentContext, runIn } = require('../context.js')
const {
	RegistryError,
	emitProcessWarning,
	messageOf,
	registryError,
	unwrap,
} = require('../errors.js')
const { onAbort } = require('../locking/abort-signal.js')
const { runOutsideScopes } = require('../locking/scopes.js')
const {
	UPDATE_OPTIONS,
	acquireRequest,
	checkCall,
	checkPath,
	deliverWarning,
	optionalFunction,
	prepareRead,
} = require('../options.js')

/** How long a mirror's events wait if they could not be taken: no thread was to be had for that. */
const RETRY_MS = 1_000

const MIRROR_OPTIONS = [...UPDATE_OPTIONS, 'onError']

/**
 * The default `onError`.
 *
 * @param {string} path
 */
const warnAbout = (path) => (/** @type {unknown} */ error) => {
	const code = error instanceof RegistryError ? error.code : undefined
	emitProcessWarning(`mirror ${path}: ${messageOf(error)}`, code)
}

/** @type {typeof import('../../index.js').mirrorRegistry} */
const mirrorRegistry = (source, file, options = {}) => {
	const call = checkCall(checkPath(file), registryCodec, options, MIRROR_OPTIONS)
	const from = prepareRead(source, registryCodec)
	const warn = warnAbout(call.path)
	const onError = optionalFunction(call.path, 'onError', options.onError) ?? warn
	// An update that starts the mirror may be over when the mirror tells something.
	const context = runOutsideScopes(currentContext)
	call.context = context
	const keepCorrupt = call.onCorrupt === 'keep'
	const handle = unwrap(
		from.addon.mirrorRegistry(from.path, acquireRequest(call), call.durable, keepCorrupt),
	)

	/**
	 * Tells `onError` of an error. If that fails too, the process is warned: the mirror goes on.
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

	/** @type {(works: boolean) => void} */
	let setWorking = () => {}
	/** @type {Promise<boolean>} */
	const working = new Promise((resolve) => {
		setWorking = resolve
	})

	/** @param {MirrorEvent} event */
	const tell = ({ working: works, failure, warning }) => {
		if (works) setWorking(true)
		// Not awaited: an `onError` that awaits `stop` would wait for itself.
		if (failure) report(registryError(failure))
		if (warning) deliverWarning(call, warning)
	}

	let isStopped = false
	/** Stops a pause of `listen`. */
	let wake = () => {}

	const pause = () =>
		new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
			const stopTimer = startTimer(RETRY_MS, () => resolve())
			wake = () => {
				stopTimer()
				resolve()
			}
		})

	const listen = async () => {
		for (;;) {
			try {
				const event = unwrap(await resultOf(handle.next()))
				if (!event) break
				tell(event)
			} catch (error) {
				// The mirror works on: without this, none of its later failures would be told.
				report(error)
				if (isStopped) break
				await pause()
			}
		}
		setWorking(false)
		if (isStopped) return
		const message = `a defect of argus-registry: the mirror ${call.path} has ended by itself; please report it`
		report(new RegistryError('INTERNAL', message, { path: call.path }))
	}
	const listened = listen()

	const stop = async () => {
		isStopped = true
		wake()
		stopListening()
		// The mirror may begin to work at this moment.
		setWorking(false)
		unwrap(await resultOf(handle.stop()))
		await listened
	}
	const stopListening = onAbort(call.signal, stop)
	if (call.signal?.aborted) stop()
	return { working, stop }
}

module.exports = { mirrorRegistry }
