// Checked by tsc, not run: every export has the signature that argus's own callers rely on.

import type { RegistryReadResult, RegistryV1, WatcherRecord } from '@vforsh/argus-core'
import * as core from '@vforsh/argus-core'
import { withRegistryLock } from '../../argus-core/src/registry/lock.js'
import * as watcher from './registry/registry.js'

type Now = { now?: number; ttlMs?: number; registryPath?: string }

export const signatures: [
	(fn: () => Promise<number>, registryPath?: string) => Promise<number>,
	(registryPath?: string) => Promise<RegistryReadResult>,
	(registry: RegistryV1, registryPath?: string) => Promise<void>,
	(updater: (registry: RegistryV1) => RegistryV1, registryPath?: string) => Promise<RegistryV1>,
	(now?: number) => RegistryV1,
	(registry: RegistryV1) => WatcherRecord[],
	(registry: RegistryV1, watcher: WatcherRecord, now?: number) => RegistryV1,
	(registry: RegistryV1, id: string, now?: number) => RegistryV1,
	(
		registry: RegistryV1,
		now?: number,
		ttlMs?: number,
	) => { registry: RegistryV1; removedIds: string[] },
	(options?: Omit<Now, 'now'>) => Promise<RegistryV1>,
	(id: string, registryPath?: string) => Promise<RegistryV1>,
	(ids: string[], registryPath?: string) => Promise<RegistryV1>,
	(id: string) => Promise<string>,
	(watcher: WatcherRecord) => Promise<void>,
	(watcher: WatcherRecord) => Promise<void>,
	(id: string) => Promise<void>,
	(getWatcher: () => WatcherRecord, intervalMs?: number) => { stop: () => void },
	(getWatcher: () => WatcherRecord, intervalMs: number) => { stop: () => Promise<void> },
] = [
	withRegistryLock,
	core.readRegistry,
	core.writeRegistry,
	core.updateRegistry,
	core.createEmptyRegistry,
	core.listWatchers,
	core.setWatcherEntry,
	core.removeWatcherEntry,
	core.pruneStaleWatchers,
	core.readAndPruneRegistry,
	core.removeWatcherAndPersist,
	core.removeWatchersAndPersist,
	watcher.resolveUniqueWatcherId,
	watcher.announceWatcher,
	watcher.updateWatcherHeartbeat,
	watcher.removeWatcher,
	watcher.startRegistryHeartbeat,
	watcher.startRegistryHeartbeat,
]

export const version: 1 = core.REGISTRY_VERSION
export const ttlMs: number = core.DEFAULT_TTL_MS

/** Argus's own way to update, written out. */
export const update = (change: (registry: RegistryV1) => RegistryV1): Promise<RegistryV1> =>
	withRegistryLock(async () => {
		const { registry, warnings } = await core.readRegistry()
		for (const warning of warnings) console.error(warning.trim())
		const next = change(registry)
		if (next !== registry) await core.writeRegistry(next)
		return next
	})
