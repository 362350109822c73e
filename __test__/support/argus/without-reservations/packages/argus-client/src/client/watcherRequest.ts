// Stands for argus-client's watcherRequest.ts and its `list`: a watcher that can't be reached is removed.

import type { WatcherRecord } from '@vforsh/argus-core'
import { readAndPruneRegistry, removeWatcherAndPersist } from '../registry/readAndPruneRegistry.js'

type RegistryContext = { registryPath?: string; ttlMs?: number }

export const requestStatus = async (
	context: RegistryContext,
	watcher: WatcherRecord,
): Promise<unknown> => {
	try {
		const response = await fetch(`http://${watcher.host}:${watcher.port}/status`)
		return await response.json()
	} catch (error) {
		await removeWatcherAndPersist(watcher.id, context.registryPath)
		throw new Error(`${watcher.id}: failed to reach watcher`, { cause: error })
	}
}

export const list = async (context: RegistryContext): Promise<string[]> => {
	const { watchers } = await readAndPruneRegistry(context)
	const reached = Object.values(watchers).map((watcher) =>
		requestStatus(context, watcher).then(
			() => [watcher.id],
			() => [],
		),
	)
	return (await Promise.all(reached)).flat()
}
