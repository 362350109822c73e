// Checked by tsc, not run: every export, used as its typings promise.

import {
	announceWatcher,
	type ClaimedWatcher,
	type ClaimOptions,
	claimWatcher,
	createEmptyRegistry,
	DEFAULT_TTL_MS,
	Document,
	type DocumentCallOptions,
	type DocumentOptions,
	type DocumentWatchOptions,
	type EntryOptions,
	type HeartbeatOptions,
	type HeldDocumentLock,
	type HeldRegistryLock,
	heartbeatWatcher,
	inspectLock,
	type KernelLock,
	type LoadedDocument,
	type LockHolder,
	type LockStatus,
	listWatchers,
	type MirrorOptions,
	mirrorRegistry,
	type PidScope,
	type PrunedWatcher,
	type PruneOptions,
	pruneStaleWatchers,
	REGISTRY_VERSION,
	RegistryError,
	type RegistryErrorCode,
	type RegistryHeartbeat,
	type RegistryMirror,
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
const claiming: ClaimOptions = { ...entry, suffix: false, liveness: false, ttlMs: 1 }
const pruning: PruneOptions = { ...entry, ttlMs: DEFAULT_TTL_MS, liveness: true }
await announceWatcher(path, watcher, entry)
const claimed: ClaimedWatcher = await claimWatcher(path, watcher, claiming)
const claim: WatcherClaim = claimed.claim
const scope: PidScope | undefined = claimed.watcher.pidScope
console.log(scope?.pid, scope?.boot, scope?.namespace, scope?.machine)
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
const mirroring: MirrorOptions = { timeoutMs: 1, durable: false, onError: () => {} }
const mirror: RegistryMirror = mirrorRegistry('registry/', path, mirroring)
const isWorking: boolean = await mirror.working
await mirror.stop()
// @ts-expect-error a mirror has no interval
mirrorRegistry('registry/', path, { intervalMs: 1 })
console.log(isWorking)
const with1: RegistryV1 = setWatcherEntry(createEmptyRegistry(), watcher, 0)
const listed: WatcherRecord[] = listWatchers(removeWatcherEntry(with1, 'app', 0))
console.log(listed)
const version: 1 = REGISTRY_VERSION

// @ts-expect-error an updater of a registry returns a registry
await updateRegistry(path, () => ({ theme: 'dark' }))
// @ts-expect-error a registry is written
await writeRegistry(path, { theme: 'dark' })
// @ts-expect-error any other value in a shared file is a document
await readRegistry(path, { empty: () => ({}) })

interface Config {
	theme?: string
}
const configOptions: DocumentOptions<Config> = {
	lock: 'registry',
	version: 1,
	decode: (text: string): Config => JSON.parse(text),
	encode: (value: Config): string => JSON.stringify(value),
	empty: () => ({}),
	onCorrupt: 'keep',
	durable: false,
	newFileMode: 0o600,
	onWarning: (warning: RegistryWarning) => console.warn(warning.kept),
}
const inConfig = new Document(path, configOptions)
const waiting: DocumentCallOptions = {
	timeoutMs: 0,
	staleMs: 1,
	signal: new AbortController().signal,
}
const dark: Config = await inConfig.update((config) => ({ ...config, theme: 'dark' }), waiting)
const light: Config = inConfig.updateSync((config) => ({ ...config, theme: 'light' }), waiting)
await inConfig.update(async (config) => config)
const saved: undefined = (await inConfig.save({ theme: 'dark' }, waiting)) as undefined
const length: number = await inConfig.withLock(async (lock: HeldDocumentLock<Config>) => {
	await lock.write({ theme: 'dark' })
	return lock.path.length
}, waiting)
const loaded: LoadedDocument<Config> = await inConfig.load(waiting)
const { value: config, locked }: { value: Config; locked: boolean } = inConfig.loadSync()
const where: [string, string] = [inConfig.path, inConfig.lockPath()]
// T comes from the options, whatever it is.
const counter = new Document(path, { lockFile: `${path}.other`, empty: () => 0 })
const count: number = await counter.update((n) => n + 1)
const names = await new Document(path, { empty: (): string[] => [] }).update((list) => [
	...list,
	'a',
])
const firstName: string | undefined = names[0]
// Without options it is not known what the file holds, unless it is said.
const anything: unknown = (await new Document(path).load()).value
const themed: Config = (await new Document<Config>(path, {}).load()).value
const open: Document = new Document(path)
// @ts-expect-error the updater returns a value of the document
await counter.update((n) => String(n))
// @ts-expect-error the updater gets a value of the document
inConfig.updateSync((registry: RegistryV1) => registry)
// @ts-expect-error a synchronous update can't wait for a promise, of whatever document
inConfig.updateSync(async (config) => config)
// @ts-expect-error a document is of one type
await inConfig.save({ theme: 7 })
// @ts-expect-error a document is of one type
await inConfig.withLock((lock) => lock.write(7))
// @ts-expect-error there are two kinds of lock
new Document(path, { lock: 'lockfile' })
// @ts-expect-error a version is a number
new Document(path, { version: '1' })
// @ts-expect-error content that can't be decoded is refused or kept
new Document(path, { onCorrupt: 'ignore' })
// @ts-expect-error how to write is the document's to say, not the call's
await counter.update((n) => n, { durable: false })
// @ts-expect-error a document stays at its path
inConfig.path = path
console.log(dark, light, saved, length, loaded, config, locked, where, count, firstName)
console.log(anything, themed, open)

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
const documentWatchOptions: DocumentWatchOptions = { ...watchOptions }
const configs: RegistryWatch<Config> = inConfig.watch(documentWatchOptions)
for await (const config of configs) {
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
