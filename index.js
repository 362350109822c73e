'use strict'

// What JavaScript imports. See index.d.ts for what each does.

const { REGISTRY_VERSION, createEmptyRegistry, decode } = require('./lib/content.js')
const { RegistryError, holderOf, unwrap } = require('./lib/errors.js')
const native = require('./lib/native.js')
const { checkPath, prepare } = require('./lib/options.js')
const {
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} = require('./lib/update.js')
const { watchRegistry } = require('./lib/watch.js')

const readResult = (path, outcome) => {
	const { registry, warning } = decode(path, unwrap(outcome))
	const warnings = warning ? [{ code: warning.code, path, message: warning.message }] : []
	return { registry, warnings }
}

const readRegistry = async (path) => readResult(path, await native.read(checkPath(path)))

const readRegistrySync = (path) => readResult(path, native.readSync(checkPath(path)))

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
	const { holder, ...status } = unwrap(await native.inspect(resolved, staleMs))
	return { ...status, ...(holder && { holder: holderOf(holder) }) }
}

const registryPath = () => unwrap(native.defaultPath({ ...process.env }))

module.exports = {
	REGISTRY_VERSION,
	RegistryError,
	createEmptyRegistry,
	inspectLock,
	readRegistry,
	readRegistrySync,
	registryPath,
	tryLockExclusive,
	tryLockShared,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
}
