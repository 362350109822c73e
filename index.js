'use strict'

// What JavaScript imports. See index.d.ts for what each does.

const { outcomeOf } = require('./lib/background.js')
const { REGISTRY_VERSION, createEmptyRegistry } = require('./lib/content.js')
const { decode } = require('./lib/documents.js')
const {
	DEFAULT_TTL_MS,
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
} = require('./lib/entries.js')
const { RegistryError, holderOf, unwrap } = require('./lib/errors.js')
const { startRegistryHeartbeat } = require('./lib/heartbeat.js')
const native = require('./lib/native.js')
const { checkPath, prepare, prepareRead } = require('./lib/options.js')
const {
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} = require('./lib/update.js')
const { listWatchers, removeWatcherEntry, setWatcherEntry } = require('./lib/values.js')
const { watchRegistry } = require('./lib/watch.js')

const readResult = (call, outcome) => {
	const { value, warning } = decode(call, unwrap(outcome))
	if (!warning) return { registry: value, warnings: [] }
	const { code, path, message } = warning
	return { registry: call.codec.empty(), warnings: [{ code, path, message }] }
}

const readRegistry = async (path, options) => {
	const call = prepareRead(path, options)
	return readResult(call, await outcomeOf(native.read(path)))
}

const readRegistrySync = (path, options) =>
	readResult(prepareRead(path, options), native.readSync(path))

/** The collector would take a lock whose object nobody kept for garbage, and release it. */
const heldLocks = new Set()

const tryLock = (path, shared) => {
	const lock = unwrap(native.tryLock(checkPath(path, 'lockPath'), shared))
	heldLocks.add(lock)
	const release = () => {
		heldLocks.delete(lock)
		const failure = lock.release()
		if (failure) unwrap(failure)
	}
	// Older runtimes have no Symbol.dispose; they have no `using` either.
	return { path, release, ...(Symbol.dispose ? { [Symbol.dispose]: release } : {}) }
}

const tryLockShared = (lockPath) => tryLock(lockPath, true)

const tryLockExclusive = (lockPath) => tryLock(lockPath, false)

const inspectLock = async (path, options) => {
	const { path: resolved, staleMs } = prepare(path, options)
	const { holder, ...status } = unwrap(await outcomeOf(native.inspect(resolved, staleMs)))
	return { ...status, ...(holder && { holder: holderOf(holder) }) }
}

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
