'use strict'

// What JavaScript imports. See index.d.ts for what each does.

const { RegistryError, unwrap } = require('./lib/errors.js')
const native = require('./lib/addon/load.js')
const {
	DEFAULT_TTL_MS,
	REGISTRY_VERSION,
	createEmptyRegistry,
} = require('./lib/codec/registry-schema.js')
const { listWatchers, removeWatcherEntry, setWatcherEntry } = require('./lib/api/values.js')

/**
 * A function whose module is loaded by its first call: nobody needs all of them, and a command line
 * that only looks should not wait for the rest. The addon is loaded now, so that one that is missing
 * is noticed at once.
 */
const later = (load, name) => {
	const call = (...args) => load()[name](...args)
	return Object.defineProperty(call, 'name', { value: name })
}

const entries = () => require('./lib/api/entries.js')
const announceWatcher = later(entries, 'announceWatcher')
const claimWatcher = later(entries, 'claimWatcher')
const heartbeatWatcher = later(entries, 'heartbeatWatcher')
const pruneStaleWatchers = later(entries, 'pruneStaleWatchers')
const removeWatcher = later(entries, 'removeWatcher')

const startRegistryHeartbeat = later(
	() => require('./lib/api/heartbeat.js'),
	'startRegistryHeartbeat',
)

const reads = () => require('./lib/api/reads.js')
const inspectLock = later(reads, 'inspectLock')
const readRegistry = later(reads, 'readRegistry')
const readRegistrySync = later(reads, 'readRegistrySync')

const tryLocks = () => require('./lib/api/try-lock.js')
const tryLockExclusive = later(tryLocks, 'tryLockExclusive')
const tryLockShared = later(tryLocks, 'tryLockShared')

const updates = () => require('./lib/api/update.js')
const updateRegistry = later(updates, 'updateRegistry')
const updateRegistrySync = later(updates, 'updateRegistrySync')
const withRegistryLock = later(updates, 'withRegistryLock')
const writeRegistry = later(updates, 'writeRegistry')

const watchRegistry = later(() => require('./lib/api/watch.js'), 'watchRegistry')

const registryPath = () => unwrap(native.defaultPath({ ...process.env }))

module.exports = {
	DEFAULT_TTL_MS,
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
