// Stands for argus-watcher's index.ts of the versions without reservations.

import type { WatcherRecord } from '@vforsh/argus-core'
import { resolveUniqueWatcherId } from './registry/registry.js'
import { createWatcherHandle } from './startWatcherRuntime.js'

export type StartWatcherOptions = { id: string; heartbeatMs?: number }

export type WatcherHandle = { watcher: WatcherRecord; close: () => Promise<void> }

export const startWatcher = async (options: StartWatcherOptions): Promise<WatcherHandle> => {
	const watcherId = await resolveUniqueWatcherId(options.id)
	return createWatcherHandle(options, watcherId)
}
