import { heldLock } from './lock.js'
import { getRegistryPath } from './paths.js'
import { isRegistryError, registryStore } from './store.js'
import type { RegistryReadResult, RegistryV1, WatcherRecord } from './types.js'

export { errorLine, isRegistryError, registryStore } from './store.js'

/** Current registry schema version. */
export const REGISTRY_VERSION = 1

/** Default staleness threshold in ms. */
export const DEFAULT_TTL_MS = 60_000

/** Where the registry is, and the age at which its entries count as dead. */
type RegistryOptions = { registryPath?: string | undefined; ttlMs?: number | undefined }

/** Fields that only some versions of argus know. Processes of those versions may share the registry, so their fields count here, too. */
type OwnedRecord = WatcherRecord & { ownerId?: string }
type ReservingRegistry = RegistryV1 & { reservations?: Record<string, { reservedAt: number }> }

/** Create a fresh empty registry object. */
export const createEmptyRegistry = (now = Date.now()): RegistryV1 => ({ version: REGISTRY_VERSION, updatedAt: now, watchers: {} })

/** Read the registry without a lock. What is no registry, or is of a newer schema, reads as an empty one, with a warning. */
export const readRegistry = async (registryPath = getRegistryPath()): Promise<RegistryReadResult> => {
	const store = await registryStore()
	const { registry, warnings } = await store.readRegistry(registryPath)
	// The types of argus-registry are wider than those here: what a file holds has not been checked in either.
	return { registry: registry as RegistryV1, warnings: warnings.map(({ message }) => message) }
}

/** Replace the registry under its lock: under the one that this code holds, else under one of its own. */
export const writeRegistry = async (registry: RegistryV1, registryPath = getRegistryPath()): Promise<void> => {
	const store = await registryStore()
	const lock = heldLock(registryPath)
	await (lock ? lock.write(registry) : store.writeRegistry(registryPath, registry))
}

/**
 * Atomically read-modify-write the registry under an exclusive lock.
 * The `updater` returns the next registry; the given one, unchanged, writes nothing. It may run again, on fresh content.
 * @returns The registry after the update has been persisted.
 */
export const updateRegistry = async (
	updater: (registry: RegistryV1) => RegistryV1 | Promise<RegistryV1>,
	registryPath = getRegistryPath(),
): Promise<RegistryV1> => {
	const store = await registryStore()
	const next = await store.updateRegistry(registryPath, (registry) => updater(registry as RegistryV1))
	return next as RegistryV1
}

/** Return registry watchers as a list. */
export const listWatchers = (registry: RegistryV1): WatcherRecord[] => Object.values(registry.watchers)

/** Add or update a watcher entry. */
export const setWatcherEntry = (registry: RegistryV1, watcher: WatcherRecord, now = Date.now()): RegistryV1 => ({
	...registry,
	updatedAt: now,
	watchers: { ...registry.watchers, [watcher.id]: watcher },
})

/** Remove a watcher entry by id; the given registry if it has no such entry. */
export const removeWatcherEntry = (registry: RegistryV1, id: string, now = Date.now()): RegistryV1 => {
	if (!Object.hasOwn(registry.watchers, id)) return registry
	const watchers = { ...registry.watchers }
	delete watchers[id]
	return { ...registry, updatedAt: now, watchers }
}

/** Remove watchers whose updatedAt exceeds TTL, and reservations older than TTL. */
export const pruneStaleWatchers = (
	registry: RegistryV1,
	now = Date.now(),
	ttlMs: number = DEFAULT_TTL_MS,
): { registry: RegistryV1; removedIds: string[] } => {
	const removedIds = Object.entries(registry.watchers)
		.filter(([, watcher]) => now - watcher?.updatedAt > ttlMs)
		.map(([id]) => id)
	const kept = removedIds.reduce((rest, id) => removeWatcherEntry(rest, id, now), registry)
	return { registry: pruneStaleReservations(kept, now, ttlMs), removedIds }
}

const pruneStaleReservations = (registry: ReservingRegistry, now: number, ttlMs: number): RegistryV1 => {
	const reservations = Object.entries(registry.reservations ?? {})
	const kept = reservations.filter(([, reservation]) => now - reservation.reservedAt <= ttlMs)
	if (kept.length === reservations.length) return registry
	const pruned: ReservingRegistry = { ...registry, updatedAt: now }
	if (kept.length > 0) pruned.reservations = Object.fromEntries(kept)
	else delete pruned.reservations
	return pruned
}

/** The content of the registry. Unlike `readRegistry` it fails for a newer schema, whose watchers a list must not leave out silently. */
const readKnownRegistry = async (registryPath: string): Promise<RegistryV1> => {
	const store = await registryStore()
	const { registry, warnings } = await store.readRegistry(registryPath)
	const newer = warnings.find(({ code }) => code === 'UNSUPPORTED_VERSION')
	if (newer) throw new store.RegistryError('UNSUPPORTED_VERSION', newer.message, { path: registryPath })
	return registry as RegistryV1
}

/** Update the registry only if that changes anything: else no lock is taken, and no write access is needed. */
const updateIfChanged = async (change: (registry: RegistryV1) => RegistryV1, registryPath: string): Promise<RegistryV1> => {
	const registry = await readKnownRegistry(registryPath)
	return change(registry) === registry ? registry : updateRegistry(change, registryPath)
}

/** Read the live entries: without a lock, and without writing. */
export const readActiveRegistry = async (options: RegistryOptions = {}): Promise<RegistryV1> =>
	pruneStaleWatchers(await readKnownRegistry(options.registryPath ?? getRegistryPath()), Date.now(), options.ttlMs).registry

/** Remove stale entries from the file, and read the rest. A reader that may not write leaves them in the file. */
export const readAndPruneRegistry = async (options: RegistryOptions = {}): Promise<RegistryV1> => {
	const prune = (registry: RegistryV1): RegistryV1 => pruneStaleWatchers(registry, Date.now(), options.ttlMs).registry
	try {
		return await updateIfChanged(prune, options.registryPath ?? getRegistryPath())
	} catch (error) {
		if (!(isRegistryError(error) && error.code === 'PERMISSION_DENIED')) throw error
		return readActiveRegistry(options)
	}
}

/** Whether both records are of one run of a watcher on one endpoint. Heartbeats change neither. */
export const sameWatcherEndpoint = (a: OwnedRecord | undefined, b: OwnedRecord): boolean =>
	!!a && a.id === b.id && a.ownerId === b.ownerId && a.pid === b.pid && a.startedAt === b.startedAt && a.host === b.host && a.port === b.port

/**
 * Remove an entry from the file.
 * @param expected The record that was found dead: the entry of a watcher that has started anew since then stays.
 */
export const removeWatcherAndPersist = async (id: string, registryPath?: string, expected?: WatcherRecord): Promise<RegistryV1> =>
	removeWatchersAndPersist([id], registryPath, expected && { [id]: expected })

/**
 * Remove several entries with one write.
 * @param expected The records that were found dead, by id: only entries that are still these are removed.
 */
export const removeWatchersAndPersist = async (
	ids: string[],
	registryPath = getRegistryPath(),
	expected?: Record<string, WatcherRecord>,
): Promise<RegistryV1> => {
	const isMeant = (id: string, watcher: WatcherRecord | undefined): boolean => {
		const dead = expected?.[id]
		return !expected || (!!dead && sameWatcherEndpoint(watcher, dead))
	}
	const without = (rest: RegistryV1, id: string): RegistryV1 => (isMeant(id, rest.watchers[id]) ? removeWatcherEntry(rest, id) : rest)
	return updateIfChanged((registry) => ids.reduce(without, registry), registryPath)
}
