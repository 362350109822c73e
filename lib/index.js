'use strict'

// What JavaScript imports, and the entry of the file that scripts/bundle.mjs makes of lib/: index.js
// beside package.json. All modules are loaded now. A module that its first call loads could be missing
// by then (the package was updated under a running process, or no descriptor is free), or it could be
// of another version. index.d.ts says what each export does.

require('./addon/load.js')
const { Document } = require('./api/document.js')
const {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
} = require('./api/entries.js')
const { startRegistryHeartbeat } = require('./api/heartbeat.js')
const { inspectLock, readRegistry, readRegistrySync, registryPath } = require('./api/reads.js')
const { tryLockExclusive, tryLockShared } = require('./api/try-lock.js')
const {
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} = require('./api/update.js')
const { listWatchers, removeWatcherEntry, setWatcherEntry } = require('./api/values.js')
const { watchRegistry } = require('./api/watch.js')
const {
	DEFAULT_TTL_MS,
	REGISTRY_VERSION,
	createEmptyRegistry,
} = require('./codec/registry-schema.js')
const { RegistryError } = require('./errors.js')

// Written out, with no other text between the braces: scripts/bundle.mjs copies these names to where
// Node reads which ones an ES module can import.
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
