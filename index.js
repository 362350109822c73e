'use strict'

// What JavaScript imports. index.d.ts says what each export does.

require('./lib/addon/load.js')
const {
	DEFAULT_TTL_MS,
	REGISTRY_VERSION,
	createEmptyRegistry,
} = require('./lib/codec/registry-schema.js')
const { RegistryError } = require('./lib/errors.js')

/**
 * A function whose module is loaded by its first call: few programs need all modules, and a command
 * that only reads should not load the rest. The addon is loaded now, so that one that is missing is
 * noticed at once.
 *
 * @template {string} N
 * @template {Record<N, (...args: never[]) => unknown>} M
 * @param {() => M} load
 * @param {N} name
 * @returns {M[N]}
 */
const later = (load, name) => {
	/** @param {Parameters<M[N]>} args */
	const call = (...args) => load()[name](...args)
	// A cast, because tsc can't see that a function which only passes its arguments on has the type
	// of the other.
	const named = Object.defineProperty(call, 'name', { value: name })
	return /** @type {M[N]} */ (/** @type {unknown} */ (named))
}

/**
 * Like `later`, for a class: its module is loaded when it is constructed, extended or looked at.
 *
 * @template {abstract new (...args: never[]) => object} C
 * @param {() => C} load
 * @returns {C}
 */
const laterClass = (load) => {
	// Only a proxy of a function that constructs can construct, and only such a function's own
	// `prototype` may be shown as another.
	function standIn() {}
	/** @type {ProxyHandler<typeof standIn>} */
	const handler = {
		construct: (_, args, newTarget) =>
			Reflect.construct(load(), args, newTarget === proxy ? load() : newTarget),
		apply: () => {
			throw new TypeError(`${load().name} is a class: it needs new`)
		},
		get: (_, key) => Reflect.get(load(), key),
	}
	const proxy = new Proxy(standIn, handler)
	// A cast, because tsc can't see that a stand-in which only passes on has the type of the class.
	return /** @type {C} */ (/** @type {unknown} */ (proxy))
}

const Document = laterClass(() => require('./lib/api/document.js').Document)

const entries = () => require('./lib/api/entries.js')
const announceWatcher = later(entries, 'announceWatcher')
const claimWatcher = later(entries, 'claimWatcher')
const heartbeatWatcher = later(entries, 'heartbeatWatcher')
const pruneStaleWatchers = later(entries, 'pruneStaleWatchers')
const removeWatcher = later(entries, 'removeWatcher')

const heartbeat = () => require('./lib/api/heartbeat.js')
const startRegistryHeartbeat = later(heartbeat, 'startRegistryHeartbeat')

const reads = () => require('./lib/api/reads.js')
const inspectLock = later(reads, 'inspectLock')
const readRegistry = later(reads, 'readRegistry')
const readRegistrySync = later(reads, 'readRegistrySync')
const registryPath = later(reads, 'registryPath')

const tryLocks = () => require('./lib/api/try-lock.js')
const tryLockExclusive = later(tryLocks, 'tryLockExclusive')
const tryLockShared = later(tryLocks, 'tryLockShared')

const updates = () => require('./lib/api/update.js')
const updateRegistry = later(updates, 'updateRegistry')
const updateRegistrySync = later(updates, 'updateRegistrySync')
const withRegistryLock = later(updates, 'withRegistryLock')
const writeRegistry = later(updates, 'writeRegistry')

const values = () => require('./lib/api/values.js')
const listWatchers = later(values, 'listWatchers')
const removeWatcherEntry = later(values, 'removeWatcherEntry')
const setWatcherEntry = later(values, 'setWatcherEntry')

const watches = () => require('./lib/api/watch.js')
const watchRegistry = later(watches, 'watchRegistry')

// Written out: Node reads from this text which names an ES module can import.
module.exports = {
	DEFAULT_TTL_MS,
	Document,
	REGISTRY_VERSION,
	RegistryError,
	announceWatcher,
	claimWatcher,
	createEmptyRegistry,
	heartbeatWatcher,
	inspectLock,
	listWatchers,
	pruneStaleWatchers,
	readRegistry,
	readRegistrySync,
	registryPath,
	removeWatcher,
	removeWatcherEntry,
	setWatcherEntry,
	startRegistryHeartbeat,
	tryLockExclusive,
	tryLockShared,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
}
