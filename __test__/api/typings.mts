// Checked by tsc, not run: every export, used as its typings promise.

import {
	announceWatcher,
	type ClaimedWatcher,
	type ClaimOptions,
	claimWatcher,
	createEmptyRegistry,
	DEFAULT_TTL_MS,
	type DocumentCodec,
	type DocumentOptions,
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
	type RegistryWatch,
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
const entry: EntryOptions = { ...options, now: 0 }
const claiming: ClaimOptions = { ...entry, suffix: false, liveness: false }
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
const beating: HeartbeatOptions = {
	timeoutMs: 1,
	intervalMs: 1,
	keepAlive: true,
	onError: () => {},
}
const heartbeat: RegistryHeartbeat = startRegistryHeartbeat(path, async () => watcher, beating)
await heartbeat.stop({ remove: true })
const with1: RegistryV1 = setWatcherEntry(createEmptyRegistry(), watcher, 0)
const listed: WatcherRecord[] = listWatchers(removeWatcherEntry(with1, 'app', 0))
console.log(listed)
const version: 1 = REGISTRY_VERSION

interface Config {
	theme?: string
}
const configCodec: DocumentCodec<Config> = {
	decode: (text: string): Config => JSON.parse(text),
	encode: (value: Config): string => JSON.stringify(value),
	empty: () => ({}),
}
const inConfig: DocumentOptions<Config> = { ...options, codec: configCodec }
const dark: Config = await updateRegistry(
	path,
	(config) => ({ ...config, theme: 'dark' }),
	inConfig,
)
const light: Config = updateRegistrySync(
	path,
	(config) => ({ ...config, theme: 'light' }),
	inConfig,
)
await updateRegistry(path, async (config) => config, inConfig)
await writeRegistry(path, { theme: 'dark' }, inConfig)
await withRegistryLock(path, (lock) => lock.write({ theme: 'dark' }), inConfig)
const readConfig: RegistryReadResult<Config> = await readRegistry(path, { codec: configCodec })
const theme: string | undefined = readRegistrySync(path, inConfig).registry.theme
// T comes from the codec, whatever it is.
const count: number = await updateRegistry(path, (n) => n + 1, { codec: { empty: () => 0 } })
const names = await updateRegistry(path, (list) => [...list, 'a'], {
	codec: { empty: (): string[] => [] },
	timeoutMs: 0,
})
const firstName: string | undefined = names[0]
await updateRegistry(path, add, { codec: undefined })
readRegistrySync(path, { codec: undefined })
// @ts-expect-error the updater returns what the codec encodes
await updateRegistry(path, (n) => String(n), { codec: { empty: () => 0 } })
// @ts-expect-error the updater gets what the codec decodes
updateRegistrySync(path, (registry: RegistryV1) => registry, inConfig)
// @ts-expect-error a synchronous update can't wait for a promise, of whatever document
updateRegistrySync(path, async (config) => config, inConfig)
// @ts-expect-error without a codec it is a registry
await updateRegistry<Config>(path, (config) => config)
// @ts-expect-error without a codec it is a registry
const notRead: RegistryReadResult<Config> = await readRegistry<Config>(path)
// @ts-expect-error without a codec it is a registry
await writeRegistry(path, { theme: 'dark' })
// @ts-expect-error the codec encodes configurations
await writeRegistry(path, { theme: 7 }, inConfig)
// @ts-expect-error the codec encodes configurations
await withRegistryLock(path, (lock) => lock.write(7), inConfig)
// @ts-expect-error a codec has an empty document
await readRegistry(path, { codec: { decode: JSON.parse } })
console.log(dark, light, readConfig, theme, count, firstName, notRead)

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
for await (const config of watchRegistry(path, { codec: configCodec })) {
	const watchedTheme: string | undefined = config.theme
	if (watchedTheme) break
}
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
