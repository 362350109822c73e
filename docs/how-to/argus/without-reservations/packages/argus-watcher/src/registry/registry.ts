import { errorLine, getRegistryPath, isRegistryError, readRegistry, registryStore, setWatcherEntry, updateRegistry } from '@vforsh/argus-core'
import type { WatcherRecord } from '@vforsh/argus-core'

/** What makes an entry this process's own: its id, and the process and start that it names. */
type Claim = Pick<WatcherRecord, 'id' | 'pid' | 'startedAt'>

/** An entry of this process. */
type OwnEntry = { path: string; claim: Claim; isRemoved: boolean }

const ownEntries = new Map<string, OwnEntry>()

/** The id that was asked for, by the one that was proposed for it. */
const requestedIds = new Map<string, string>()

/**
 * Propose an id that no living watcher has: the requested one, or the first of `-2`, `-3`, ... that is free.
 * Nothing is reserved. `announceWatcher` takes the id, or the next free one if another watcher was faster.
 */
export const resolveUniqueWatcherId = async (id: string): Promise<string> => {
	const { registry } = await readRegistry()
	const isFree = (candidate: string): boolean => !Object.hasOwn(registry.watchers, candidate) || !isAlive(registry.watchers[candidate]?.pid)
	let proposal = id
	for (let suffix = 2; !isFree(proposal); suffix += 1) proposal = `${id}-${suffix}`
	requestedIds.set(proposal, id)
	return proposal
}

const isAlive = (pid: number | undefined): boolean => {
	try {
		return pid !== undefined && process.kill(pid, 0)
	} catch (error) {
		// The process exists and is another user's.
		return (error as NodeJS.ErrnoException).code === 'EPERM'
	}
}

/**
 * Enter a watcher that accepts requests by now. Another watcher may have taken its id since that was resolved: the watcher then gets
 * the next free one. Changes `watcher.id` and `watcher.startedAt` to those of the entry.
 */
export const announceWatcher = async (watcher: WatcherRecord): Promise<void> => {
	const own = ownEntries.get(watcher.id)
	if (own && !own.isRemoved) return renew(own, watcher)
	const path = getRegistryPath()
	const { id, startedAt, pid } = await claimEntry(path, watcher)
	watcher.id = id
	watcher.startedAt = startedAt
	remember(path, { id, pid, startedAt })
}

const claimEntry = async (path: string, watcher: WatcherRecord): Promise<Claim> => {
	const { claimWatcher } = await registryStore()
	try {
		return (await claimWatcher(path, watcher, { suffix: false })).claim
	} catch (error) {
		if (!(isRegistryError(error) && error.code === 'ID_TAKEN')) throw error
		const requested = requestedIds.get(watcher.id) ?? watcher.id
		return (await claimWatcher(path, { ...watcher, id: requested })).claim
	}
}

const remember = (path: string, claim: Claim): OwnEntry => {
	const own = { path, claim, isRemoved: false }
	ownEntries.set(claim.id, own)
	return own
}

/** Renew a watcher's entry. One that was pruned is entered again; one that this process has removed is not. */
export const updateWatcherHeartbeat = async (watcher: WatcherRecord): Promise<void> => {
	const own = ownEntries.get(watcher.id)
	if (own) return renew(own, watcher)
	const { heartbeatWatcher } = await registryStore()
	await heartbeatWatcher(getRegistryPath(), watcher)
}

const renew = async (own: OwnEntry, watcher: WatcherRecord): Promise<void> => {
	const { heartbeatWatcher } = await registryStore()
	const isThere = await heartbeatWatcher(own.path, recordOf(own, watcher))
	if (!isThere) await enterAgain(own, watcher)
}

const recordOf = (own: OwnEntry, watcher: WatcherRecord): WatcherRecord => ({ ...watcher, ...own.claim })

/** Enter a watcher whose entry is gone, unless another one has its id, or this one is not wanted back. */
const enterAgain = async (own: OwnEntry, watcher: WatcherRecord, isWanted = (): boolean => true): Promise<void> => {
	const { RegistryError } = await registryStore()
	const { id, pid, startedAt } = own.claim
	await updateRegistry((registry) => {
		// Asked under the lock: what was removed or stopped meanwhile stays away.
		if (own.isRemoved || !isWanted()) return registry
		const entry = registry.watchers[id]
		const isOurs = entry?.pid === pid && entry.startedAt === startedAt
		if (Object.hasOwn(registry.watchers, id) && !isOurs) {
			throw new RegistryError('ENTRY_LOST', `the entry '${id}' in ${own.path} is another watcher's`, { path: own.path })
		}
		return setWatcherEntry(registry, { ...recordOf(own, watcher), updatedAt: Date.now() })
	}, own.path)
}

/** Remove a watcher that this process has entered, and no other one that has its id by now. */
export const removeWatcher = async (id: string): Promise<void> => {
	const own = ownEntries.get(id)
	if (!own) return
	// Before the first wait: no heartbeat brings it back from here on.
	own.isRemoved = true
	const store = await registryStore()
	await store.removeWatcher(own.path, own.claim)
	if (ownEntries.get(id) === own) ownEntries.delete(id)
}

/**
 * Renew a watcher's entry until stopped. One that was pruned meanwhile, as happens when the machine sleeps, is entered again if its
 * id is still free. A failure is reported in one line, and the next heartbeat comes.
 */
export const startRegistryHeartbeat = (getWatcher: () => WatcherRecord, intervalMs = 15_000): { stop: () => Promise<void> } => {
	const { id, pid, startedAt } = getWatcher()
	const own = ownEntries.get(id) ?? remember(getRegistryPath(), { id, pid, startedAt })
	let isStopped = false
	let returning = Promise.resolve()

	const current = (): WatcherRecord => {
		const watcher = getWatcher()
		watcher.updatedAt = Date.now()
		return recordOf(own, watcher)
	}
	const comeBack = async (error: unknown): Promise<void> => {
		if (!(isRegistryError(error) && error.code === 'ENTRY_LOST')) throw error
		await enterAgain(own, current(), () => !isStopped)
	}
	// Stdout may be a native-messaging channel: diagnostics go to stderr.
	const report = (error: unknown): void => console.error(`[ArgusWatcher] The heartbeat of ${id} failed: ${errorLine(error)}`)
	const onError = (error: unknown): void => {
		returning = comeBack(error).catch(report)
	}
	const starting = registryStore().then((store) => store.startRegistryHeartbeat(own.path, current, { intervalMs, keepAlive: true, onError }))
	starting.catch(report)

	return {
		stop: async () => {
			isStopped = true
			const heartbeat = await starting.catch(() => undefined)
			await heartbeat?.stop()
			await returning
		},
	}
}
