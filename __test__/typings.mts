// Checked by tsc, not run: every export, used as its typings promise.

import {
	announceWatcher,
	type ClaimedWatcher,
	type ClaimOptions,
	claimWatcher,
	createEmptyRegistry,
	DEFAULT_TTL_MS,
	type EntryOptions,
	type HeartbeatOptions,
	type HeldRegistryLock,
	heartbeatWatcher,
	inspectLock,
	type KernelLock,
	type LockHolder,
	type LockStatus,
	listWatchers,
	type PrunedWatcher,
	type PruneOptions,
	pruneStaleWatchers,
	REGISTRY_VERSION,
	RegistryError,
	type RegistryErrorCode,
	type RegistryHeartbeat,
	type RegistryReadResult,
	type RegistryV1,
	type RegistryWarning,
	readRegistry,
	readRegistrySync,
	registryPath,
	removeWatcher,
	removeWatcherEntry,
	setWatcherEntry,
	startRegistryHeartbeat,
	tryLockExclusive,
	tryLockShared,
	type UpdateOptions,
	updateRegistry,
	updateRegistrySync,
	type WatcherClaim,
	type WatcherRecord,
	type WatcherRef,
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
const entry: EntryOptions = { ...options, now: 0 }
const claiming: ClaimOptions = { ...entry, liveness: false }
const pruning: PruneOptions = { ...entry, ttlMs: DEFAULT_TTL_MS, liveness: true }
await announceWatcher(path, watcher, entry)
const claimed: ClaimedWatcher = await claimWatcher(path, watcher, claiming)
const claim: WatcherClaim = claimed.claim
for (const who of ['app', claim, claimed.watcher] satisfies WatcherRef[]) {
	const wasThere: boolean = await heartbeatWatcher(path, who, entry)
	if (wasThere) await removeWatcher(path, who, entry)
}
// @ts-expect-error a claim has pid and startedAt, too
await removeWatcher(path, { id: 'app' })
const pruned: PrunedWatcher[] = await pruneStaleWatchers(path, pruning)
console.log(pruned.map(({ id, watcher: { port }, reason }) => [id, port, reason === 'dead']))
const beating: HeartbeatOptions = { ...options, intervalMs: 1, keepAlive: true, onError: () => {} }
const heartbeat: RegistryHeartbeat = startRegistryHeartbeat(path, async () => watcher, beating)
await heartbeat.stop({ remove: true })
const with1: RegistryV1 = setWatcherEntry(createEmptyRegistry(), watcher, 0)
const listed: WatcherRecord[] = listWatchers(removeWatcherEntry(with1, 'app', 0))
console.log(listed)
const version: 1 = REGISTRY_VERSION

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
