// Stands for argus-watcher's registry.ts of the versions with reservations, which stays: an id is reserved
// outside of `watchers`, and each write is the owner's own.

import type { WatcherRecord } from '@vforsh/argus-core'
import { setWatcherEntry, updateRegistry } from '@vforsh/argus-core'

export const reserveWatcherId = async (input: { id: string; ownerId: string }): Promise<string> => {
	const { id, ownerId } = input
	await updateRegistry((registry) => ({
		...registry,
		reservations: {
			...registry.reservations,
			[id]: { id, pid: process.pid, ownerId, reservedAt: Date.now() },
		},
	}))
	return id
}

export const publishWatcher = async (record: WatcherRecord): Promise<void> => {
	await updateRegistry((registry) => {
		const { [record.id]: _, ...reservations } = registry.reservations ?? {}
		return { ...setWatcherEntry(registry, record), reservations }
	})
}

export const startRegistryHeartbeat = (
	getWatcher: () => WatcherRecord,
	intervalMs: number,
): { stop: () => void } => {
	const timer = setInterval(() => {
		const watcher = { ...getWatcher(), updatedAt: Date.now() }
		publishWatcher(watcher).catch((error: unknown) => {
			console.error(`[ArgusWatcher] Registry heartbeat failed for ${watcher.id}:`, error)
		})
	}, intervalMs)
	return { stop: () => clearInterval(timer) }
}
