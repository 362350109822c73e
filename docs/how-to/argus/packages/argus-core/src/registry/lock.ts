import { AsyncLocalStorage } from 'node:async_hooks'
import path from 'node:path'
import type { HeldRegistryLock } from 'argus-registry'
import { getRegistryPath } from './paths.js'
import { registryStore } from './store.js'

type Hold = { path: string; lock: HeldRegistryLock; isOver: boolean; outer: Hold | undefined }

const holds = new AsyncLocalStorage<Hold>()

/** The lock of a registry, if the code that runs now is inside of it. */
export const heldLock = (registryPath: string): HeldRegistryLock | undefined => {
	const wanted = path.resolve(registryPath)
	let hold = holds.getStore()
	// Code that was started inside and goes on afterwards is no longer inside.
	while (hold && (hold.isOver || hold.path !== wanted)) hold = hold.outer
	return hold?.lock
}

/**
 * Execute `fn` while holding an exclusive lock on the registry, or on another JSON file.
 * Write the registry in there by `writeRegistry`; `updateRegistry` of the same file fails with `RE_ENTRANT`.
 */
export async function withRegistryLock<T>(fn: () => Promise<T>, registryPath = getRegistryPath()): Promise<T> {
	const store = await registryStore()
	return store.withRegistryLock(registryPath, async (lock) => {
		const outer = holds.getStore()
		const hold: Hold = { path: path.resolve(registryPath), lock, isOver: false, outer }
		try {
			return await holds.run(hold, fn)
		} finally {
			hold.isOver = true
		}
	})
}
