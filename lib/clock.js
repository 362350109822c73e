'use strict'

// The clocks and timers that calls depend on. Tests of programs replace the global ones, and those of
// `node:timers`, by mocks whose time stands still: a call that waited by them would wait for ever. So they
// are taken once, when this module is loaded. Where mocks are in their place by then, others serve.

const timers = require('node:timers')

/** @param {Function} fn */
const isNative = (fn) => /\{\s*\[native code\]\s*\}$/.test(Function.prototype.toString.call(fn))

/** @returns {DateConstructor} */
const unmockedDate = () =>
	isNative(Date) && isNative(Date.now) ? Date : require('node:vm').runInNewContext('Date')

/** The time of day, in milliseconds since 1970. */
const timeOfDayMs = unmockedDate().now

const { uptime } = process

/**
 * A time that only measures durations, in milliseconds: setting the clock does not change it. Of the
 * functions that tell it, this is the one that no mock replaces and that every runtime has loaded.
 */
const monotonicMs = () => uptime() * 1_000

const { clearImmediate, clearTimeout, setImmediate, setTimeout } = timers
const { getActiveResourcesInfo } = process
const { bun, deno } = process.versions

/**
 * Whether a function is the runtime's own, by what it starts: Node does not know the timers of mocks. In
 * Bun the runtime's own are native, those of Deno are taken for its own.
 *
 * @template T
 * @param {(...args: never[]) => T} fn
 * @param {() => T} start
 * @param {(started: T) => void} stop
 */
const isOwn = (fn, start, stop) => {
	if (deno) return true
	if (bun) return isNative(fn)
	const before = getActiveResourcesInfo().length
	const started = start()
	const isKnown = getActiveResourcesInfo().length > before
	stop(started)
	return isKnown
}

/** A time in which no timer that is stopped at once can fire. */
const LATER_MS = 1_000_000

/**
 * Calls back when so much time is over, and keeps the process alive until then, or not. Returns how to
 * stop it.
 *
 * @callback StartTimer
 * @param {number} ms
 * @param {() => void} callback
 * @param {{ keepAlive?: boolean }} [how] Default: true.
 * @returns {() => void}
 */

/** @type {StartTimer} */
const startTimeout = (ms, callback, { keepAlive = true } = {}) => {
	const timer = setTimeout(callback, ms)
	if (!keepAlive) timer.unref()
	return () => clearTimeout(timer)
}

/**
 * A cast, because the declarations of an older ECMAScript don't have it. Node has had it since 16.
 *
 * @typedef {(cell: Int32Array, index: number, value: number, ms: number) => { value: Promise<string> }} WaitAsync
 */
const { waitAsync } = /** @type {{ waitAsync: WaitAsync }} */ (/** @type {unknown} */ (Atomics))

/**
 * A timer that needs none of the functions that mocks replace: the engine's wait for a cell of memory. A
 * port keeps the process alive, which such a wait does not.
 *
 * @type {StartTimer}
 */
const startWait = (ms, callback, { keepAlive = true } = {}) => {
	const cell = new Int32Array(new SharedArrayBuffer(4))
	const { MessageChannel } = require('node:worker_threads')
	const port = keepAlive ? new MessageChannel().port1 : undefined
	port?.ref()
	let isStopped = false
	waitAsync(cell, 0, 0, Math.max(1, ms)).value.then(() => {
		if (isStopped) return
		port?.close()
		callback()
	})
	return () => {
		isStopped = true
		port?.close()
		Atomics.notify(cell, 0)
	}
}

/** @type {StartTimer | undefined} */
let chosenTimer

/**
 * What calls wait by. Chosen when it is first needed: the first timer of a process takes as long as a
 * tenth of the package does to load.
 *
 * @type {StartTimer}
 */
const startTimer = (ms, callback, how) => {
	const start = () => setTimeout(() => {}, LATER_MS)
	chosenTimer ??= isOwn(setTimeout, start, clearTimeout) ? startTimeout : startWait
	return chosenTimer(ms, callback, how)
}

/** @type {((callback: () => void) => unknown) | undefined} */
let chosenTurn

/**
 * Calls back when the event loop has turned.
 *
 * @param {() => void} callback
 */
const onLoopTurn = (callback) => {
	chosenTurn ??= isOwn(setImmediate, () => setImmediate(() => {}), clearImmediate)
		? setImmediate
		: (each) => startWait(1, each)
	chosenTurn(callback)
}

module.exports = { monotonicMs, onLoopTurn, startTimer, timeOfDayMs }
