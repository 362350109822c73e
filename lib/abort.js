'use strict'

// Listening to a caller's AbortSignal, once per signal however many calls share it: Node warns of
// a leak where many listen.

const listening = new WeakMap()

/** Calls `listener` when the signal is aborted; returns how to stop that. */
const onAbort = (signal, listener) => {
	if (!signal) return () => {}
	let listeners = listening.get(signal)
	if (!listeners) {
		listeners = new Set()
		listening.set(signal, listeners)
		const all = listeners
		signal.addEventListener('abort', () => {
			for (const each of [...all]) each()
		})
	}
	listeners.add(listener)
	return () => listeners.delete(listener)
}

module.exports = { onAbort }
