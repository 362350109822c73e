'use strict'

// What JavaScript imports, and the entry of the file that scripts/bundle.mjs makes of lib/: index.js
// beside package.json. index.d.ts says what each export does.
//
// That file has all modules in it, so a call reads no file: a file could be missing by then (the package
// was updated under a running process, or no descriptor is free), or be of another version. A module is
// evaluated by the first call that needs it, since most processes call a few of these functions, and
// evaluating all modules takes as long as loading the addon.

// Loaded now, so that an addon that is missing is noticed at once.
require('./addon/load.js')
// Taken now, before mocks can be in their place.
require('./clock.js')
const { listWatchers, removeWatcherEntry, setWatcherEntry } = require('./api/values.js')
const {
	DEFAULT_TTL_MS,
	REGISTRY_VERSION,
	createEmptyRegistry,
} = require('./codec/registry-schema.js')
const { RegistryError } = require('./errors.js')

const entries = () => require('./api/entries.js')
const heartbeats = () => require('./api/heartbeat.js')
const mirrors = () => require('./api/mirror.js')
const reads = () => require('./api/reads.js')
const tryLocks = () => require('./api/try-lock.js')
const updates = () => require('./api/update.js')
const watches = () => require('./api/watch.js')

/**
 * A function that is taken from its module by each call: the first one evaluates the module.
 *
 * @template {(...args: any[]) => unknown} F
 * @param {string} name
 * @param {number} parameters How many it has, which other code may look at as with any function.
 * @param {() => F} of
 */
const later = (name, parameters, of) => {
	/** @param {Parameters<F>} args */
	const call = (...args) => of()(...args)
	const described = { name: { value: name }, length: { value: parameters } }
	return /** @type {F} */ (Object.defineProperties(call, described))
}

const announceWatcher = later('announceWatcher', 3, () => entries().announceWatcher)
const claimWatcher = later('claimWatcher', 3, () => entries().claimWatcher)
const heartbeatWatcher = later('heartbeatWatcher', 3, () => entries().heartbeatWatcher)
const pruneStaleWatchers = later('pruneStaleWatchers', 2, () => entries().pruneStaleWatchers)
const removeWatcher = later('removeWatcher', 3, () => entries().removeWatcher)

const startRegistryHeartbeat = later(
	'startRegistryHeartbeat',
	3,
	() => heartbeats().startRegistryHeartbeat,
)

const mirrorRegistry = later('mirrorRegistry', 3, () => mirrors().mirrorRegistry)

const inspectLock = later('inspectLock', 2, () => reads().inspectLock)
const readRegistry = later('readRegistry', 1, () => reads().readRegistry)
const readRegistrySync = later('readRegistrySync', 1, () => reads().readRegistrySync)
const registryPath = later('registryPath', 0, () => reads().registryPath)

const tryLockExclusive = later('tryLockExclusive', 1, () => tryLocks().tryLockExclusive)
const tryLockShared = later('tryLockShared', 1, () => tryLocks().tryLockShared)

const updateRegistry = later('updateRegistry', 3, () => updates().updateRegistry)
const updateRegistrySync = later('updateRegistrySync', 3, () => updates().updateRegistrySync)
const withRegistryLock = later('withRegistryLock', 3, () => updates().withRegistryLock)
const writeRegistry = later('writeRegistry', 3, () => updates().writeRegistry)

const watchRegistry = later('watchRegistry', 2, () => watches().watchRegistry)

// Written out, a name in each line: scripts/bundle.mjs copies these names to where
// Node reads which ones an ES module can import.
module.exports = {
	DEFAULT_TTL_MS,
	get Document() {
		// No function can stand for a class that programs extend, so reading the export evaluates the module.
		return require('./api/document.js').Document
	},
	REGISTRY_VERSION,
	RegistryError,
	announceWatcher,
	claimWatcher,
	createEmptyRegistry,
	heartbeatWatcher,
	inspectLock,
	listWatchers,
	mirrorRegistry,
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
