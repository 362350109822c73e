'use strict'

// Watching a registry: the addon waits and reads, one state per call of `next`.

const { onAbort } = require('../locking/abort-signal.js')
const { outcomeOf } = require('../addon/background.js')
const { decode } = require('../codec/content.js')
const { aborted, unwrap } = require('../errors.js')
const native = require('../addon/load.js')
const { prepareWatch, deliverWarning } = require('../options.js')

/** What a content means, as `readRegistry` would give it; tells of one that means nothing. */
const stateOf = (call, content) => {
	const { value, warning } = decode(call, content)
	if (!warning) return value
	const { code, path, message } = warning
	// A missing file is a state like any other.
	if (code !== 'NOT_FOUND') deliverWarning(call, { code, path, message })
	return call.codec.empty()
}

const watchRegistry = (path, options) => {
	const call = prepareWatch(path, options)
	const { signal } = call
	const watch = unwrap(native.watch(path))
	let ended = false
	/** Why it has ended, until a call of `next` says so. */
	let failure
	/** The last call of `next`: like a generator's, they are done one after the other. */
	let last = Promise.resolve()
	let stopListening = () => {}

	const end = (error) => {
		if (ended) return
		ended = true
		failure = error
		stopListening()
		// The wait that is under way ends now, too.
		watch.close()
	}
	const abort = () => end(aborted(path, signal, 'watch'))

	const step = async () => {
		if (!ended) {
			try {
				const found = unwrap(await outcomeOf(watch.next()))
				// It may have ended just when there was something to deliver.
				if (!ended) return { done: false, value: stateOf(call, found) }
			} catch (error) {
				end(error)
			}
		}
		const error = failure
		failure = undefined
		if (error) throw error
		return { done: true, value: undefined }
	}

	stopListening = onAbort(signal, abort)
	if (signal?.aborted) abort()
	return {
		next: () => {
			const stepped = last.then(step)
			last = stepped.catch(() => {})
			return stepped
		},
		return: async (value) => {
			end()
			failure = undefined
			return { done: true, value }
		},
		[Symbol.asyncIterator]() {
			return this
		},
	}
}

module.exports = { watchRegistry }
