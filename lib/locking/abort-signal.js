'use strict'

// Listening to a caller's AbortSignal: one listener per signal, however many calls share the
// signal, because Node warns of a leak where there are many; and only while a call is under way,
// because a signal that depends on others lives as long as it is listened to.

/** @typedef {{ listeners: Set<() => void>, callAll: () => void }} Listening */

const native = require('../addon/load.js')
const { registryError } = require('../errors.js')

/** @type {WeakMap<AbortSignal, Listening>} */
const listening = new WeakMap()

/** @param {AbortSignal} signal @returns {Listening} */
const listeningOf = (signal) => {
	const known = listening.get(signal)
	if (known) return known
	/** @type {Listening['listeners']} */
	const listeners = new Set()
	const callAll = () => {
		for (const each of [...listeners]) each()
	}
	const made = { listeners, callAll }
	listening.set(signal, made)
	return made
}

/**
 * Calls `listener` when the signal is aborted; returns how to stop that.
 *
 * @param {AbortSignal | undefined} signal
 * @param {() => void} listener
 */
const onAbort = (signal, listener) => {
	if (!signal) return () => {}
	const { listeners, callAll } = listeningOf(signal)
	if (listeners.size === 0) signal.addEventListener('abort', callAll)
	listeners.add(listener)
	return () => {
		if (listeners.delete(listener) && listeners.size === 0) {
			try {
				signal.removeEventListener('abort', callAll)
			} catch {
				// Not a signal of the platform. The call that it came with is over.
			}
		}
	}
}

/**
 * The error of an update that its caller aborted; the cause is the signal's reason.
 *
 * @param {string} path
 * @param {AbortSignal | undefined} signal
 */
const updateAborted = (path, signal) => registryError(native.updateAborted(path), signal?.reason)

/**
 * Settles as the promise does, unless the caller aborts first.
 *
 * @template T
 * @param {{ path: string, signal: AbortSignal | undefined }} call
 * @param {T | Promise<T>} promise
 * @returns {Promise<T>}
 */
const unlessAborted = async ({ path, signal }, promise) => {
	if (!signal) return promise
	let stopListening = () => {}
	/** @type {Promise<never>} */
	const aborted = new Promise((_, reject) => {
		stopListening = onAbort(signal, () => reject(updateAborted(path, signal)))
		if (signal.aborted) reject(updateAborted(path, signal))
	})
	try {
		return await Promise.race([promise, aborted])
	} finally {
		stopListening()
	}
}

module.exports = { onAbort, unlessAborted, updateAborted }
