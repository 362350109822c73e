// Stands for the program's `watcher prune`: it removes what can't be reached, all at once.

import type { WatcherRecord } from '@vforsh/argus-core'
import { pruneRegistry, removeWatchersAndPersist } from '../registry.js'

export const runWatcherPrune = async (
	isReachable: (watcher: WatcherRecord) => Promise<boolean>,
): Promise<string[]> => {
	const registry = await pruneRegistry()
	const removedIds: string[] = []
	for (const watcher of Object.values(registry.watchers)) {
		if (!(await isReachable(watcher))) removedIds.push(watcher.id)
	}
	await removeWatchersAndPersist(removedIds)
	return removedIds
}
