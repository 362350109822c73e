// The modules of a checkout that was compiled; apart, so that a process needs no compiler to load them.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export const load = async (dir) => {
	const from = (name) => import(pathToFileURL(join(dir, 'packages', name)).href)
	return {
		lock: await from('argus-core/src/registry/lock.js'),
		core: await from('argus-core/src/index.js'),
		watcher: await from('argus-watcher/src/registry/registry.js'),
		program: await from('argus/src/registry.js'),
		prune: await from('argus/src/commands/watcherPrune.js'),
		client: await from('argus-client/src/index.js'),
	}
}
