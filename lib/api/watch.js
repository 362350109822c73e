'use strict'

// Watching a registry: the addon waits and reads, one state per call of `next`.

/** @import { RegistryWatch, WatchOptions } from '../../index.js' */
/** @import { AddonResult, RegistryText, WatchHandle } from '../addon/addon.d.ts' */
/** @import { WatchCall } from '../options.js' */

const { resultOf } = require('../addon/background.js')
const native = require('../addon/load.js')
const { decode, refusalOf } = require('../codec/content.js')
const { registryCodec } = require('../codec/registry-codec.js')
const { currentContext, runIn } = require('../context.js')
const { RegistryError, unwrap } = require('../errors.js')
const { onAbort } = require('../locking/abort-signal.js')
const { deliverWarning, prepareWatch } = require('../options.js')

/**
 * What a content means, as `readRegistry` would give it. Delivers the warnings of content that can't be
 * read. Throws if there is no empty value in place of the missing one.
 *
 * @template T
 * @param {WatchCall<T>} call
 * @param {RegistryText} content
 * @returns {T}
 */
const stateOf = (call, content) => {
	for (const warning of content.damaged) deliverWarning(call, warning)
	const decoded = decode(call, content)
	if (!decoded.warning) return decoded.value
	if (!call.codec.empty) throw refusalOf(call, decoded.warning)
	const { code, path, message } = decoded.warning
	// A missing file is a state like any other.
	if (code !== 'NOT_FOUND') deliverWarning(call, { code, path, message })
	return call.codec.empty(call.path)
}

/**
 * The end of the iteration.
 *
 * @param {undefined} [value]
 * @returns {IteratorReturnResult<undefined>}
 */
const ended = (value) => ({ done: true, value })

/**
 * The states of what a call watches.
 *
 * @template T
 * @param {WatchCall<T>} call
 * @param {(path: string) => AddonResult<WatchHandle>} open
 * @returns {RegistryWatch<T>}
 */
const watchStates = (call, open) => {
	const { path, signal } = call
	// `next` may be called from any other.
	const context = currentContext()
	call.context = context
	const handle = unwrap(open(path))
	let isOver = false
	/**
	 * Why the watch has ended, until a call of `next` throws it.
	 *
	 * @type {unknown}
	 */
	let failure
	/**
	 * The last call of `next`: like those of a generator, calls are done one after the other.
	 *
	 * @type {Promise<unknown>}
	 */
	let last = Promise.resolve()
	let stopListening = () => {}

	/** @param {unknown} [error] */
	const end = (error) => {
		if (isOver) return
		isOver = true
		failure = error
		stopListening()
		// This also ends a wait that is under way.
		handle.close()
	}

	const step = async () => {
		if (!isOver) {
			try {
				const content = unwrap(await resultOf(handle.next()))
				// The watch may have ended just when there was something to deliver.
				if (!isOver && content) {
					return {
						done: /** @type {const} */ (false),
						value: runIn(context, () => stateOf(call, content)),
					}
				}
			} catch (error) {
				end(error)
			}
		}
		const error = failure
		failure = undefined
		if (error) throw error
		return ended()
	}

	const abort = () => {
		const message = `the watch of ${path} was aborted by its caller`
		end(new RegistryError('ABORTED', message, { path, cause: signal?.reason }))
	}
	stopListening = onAbort(signal, abort)
	if (signal?.aborted) abort()
	return {
		next: () => {
			const stepped = last.then(step)
			last = stepped.catch(() => {})
			return stepped
		},
		/** @param {undefined} [value] */
		return: async (value) => {
			end()
			failure = undefined
			return ended(value)
		},
		[Symbol.asyncIterator]() {
			return this
		},
	}
}

/**
 * @param {string | URL} path
 * @param {WatchOptions} [options]
 */
const watchRegistry = (path, options) => {
	const call = prepareWatch(path, registryCodec, options)
	return watchStates(call, call.addon.watchRegistry)
}

/**
 * The states of a file.
 *
 * @template T
 * @param {WatchCall<T>} call
 */
const watchFile = (call) => watchStates(call, native.watch)

module.exports = { watchFile, watchRegistry }
