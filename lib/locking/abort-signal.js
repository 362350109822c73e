'use strict'

// Listening to a caller's AbortSignal, once per signal however many calls share it: Node warns of
// a leak where many listen. And only while a call is under way: a signal that was made of others
// lives as long as it is listened to.

const listening = new WeakMap()

/** Calls `listener` when the signal is aborted; returns how to stop that. */
const onAbort = (signal, listener) => {
	if (!signal) return () => {}
	let entry = listening.get(signal)
	if (!entry) {
		const listeners = new Set()
		const callAll = () => {
			for (const each of [...listeners]) each()
		}
		entry = { listeners, callAll }
		listening.set(signal, entry)
	}
	const { listeners, callAll } = entry
	if (listeners.size === 0) signal.addEventListener('abort', callAll)
	listeners.add(listener)
	return () => {
		if (listeners.delete(listener) && listeners.size === 0) {
			try {
				signal.removeEventListener('abort', callAll)
			} catch {
				// No signal of the platform's. The caller whose it is has his answer.
			}
		}
	}
}

module.exports = { onAbort }
