// Stands for argus-watcher's registry.ts, which is replaced.

import type { WatcherRecord } from '@vforsh/argus-core'

export const resolveUniqueWatcherId = async (id: string): Promise<string> => id
export const announceWatcher = async (_: WatcherRecord): Promise<void> => {}
export const removeWatcher = async (_: string): Promise<void> => {}
export const startRegistryHeartbeat = (_: () => WatcherRecord, _ms: number) => ({
	stop: async (): Promise<void> => {},
})
