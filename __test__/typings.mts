// Checked by tsc, not run: every export, used as its typings promise.

import {
	createEmptyRegistry,
	type HeldRegistryLock,
	inspectLock,
	type KernelLock,
	type LockHolder,
	type LockStatus,
	REGISTRY_VERSION,
	RegistryError,
	type RegistryErrorCode,
	type RegistryReadResult,
	type RegistryV1,
	type RegistryWarning,
	type RegistryWatch,
	readRegistry,
	readRegistrySync,
	registryPath,
	tryLockExclusive,
	tryLockShared,
	type UpdateOptions,
	updateRegistry,
	updateRegistrySync,
	type WatcherRecord,
	type WatchOptions,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
} from 'argus-registry'

const path: string = registryPath()
const watcher: WatcherRecord = {
	id: 'app',
	host: '127.0.0.1',
	port: 9222,
	pid: process.pid,
	startedAt: 0,
	updatedAt: 0,
	match: { url: 'x' },
	chrome: { host: '127.0.0.1', port: 1 },
}
const options: UpdateOptions = {
	timeoutMs: 2_000,
	staleMs: 10_000,
	signal: new AbortController().signal,
	durable: false,
	onWarning: (warning: RegistryWarning) => console.warn(warning.code, warning.kept),
}
const add = (registry: RegistryV1): RegistryV1 => ({
	...registry,
	watchers: { ...registry.watchers, [watcher.id]: watcher },
})

const updated: RegistryV1 = await updateRegistry(path, add, options)
await updateRegistry(path, async (registry) => registry)
const updatedSync: RegistryV1 = updateRegistrySync(path, add, { timeoutMs: 0 })
// @ts-expect-error a synchronous update can't wait for a promise
updateRegistrySync(path, async (registry) => registry)
// @ts-expect-error an updater returns the next registry
await updateRegistry(path, () => undefined)
// @ts-expect-error milliseconds are a number
await updateRegistry(path, add, { timeoutMs: '2s' })

const read: RegistryReadResult = await readRegistry(path)
const { registry, warnings }: RegistryReadResult = readRegistrySync(path)
await writeRegistry(path, createEmptyRegistry(0), options)
const held: number = await withRegistryLock(path, async (lock: HeldRegistryLock) => {
	await lock.write(registry)
	return lock.path.length
})
const version: 1 = REGISTRY_VERSION

const watchOptions: WatchOptions = {
	signal: new AbortController().signal,
	onWarning: (warning: RegistryWarning) => console.warn(warning.code),
}
for await (const state of watchRegistry(path, watchOptions)) {
	const watched: RegistryV1 = state
	if (watched.updatedAt > 0) break
}
const watch: RegistryWatch = watchRegistry(path)
const next: IteratorResult<RegistryV1, undefined> = await watch.next()
if (!next.done) console.log(next.value.watchers)
await watch.return()
// @ts-expect-error a watch waits for as long as it takes
watchRegistry(path, { timeoutMs: 1 })

{
	using shared: KernelLock = tryLockShared(`${path}.shared`)
	const exclusive: KernelLock = tryLockExclusive(shared.path)
	exclusive.release()
}

const status: LockStatus = await inspectLock(path, { staleMs: 1 })
if (status.state === 'held' && status.guarantee === 'kernel-lock') {
	const holder: LockHolder | undefined = status.holder
	console.log(holder?.pid, holder?.alive)
}

try {
	throw new RegistryError('LOCK_BUSY', 'busy', { path })
} catch (error) {
	if (error instanceof RegistryError) {
		const code: RegistryErrorCode = error.code
		console.log(code, error.path, error.holder?.since, error.cause)
	}
}
console.log(updated, updatedSync, read, warnings, held, version)
