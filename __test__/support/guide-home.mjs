// The guide's modules, in an argus without reservations, loaded, and a folder for it: what its tests have in
// common.

import { after } from 'node:test'
import { cleanUp } from './cleanup.mjs'
import { folder } from './folder.mjs'
import { build } from './guide.mjs'
import { load } from './guide-modules.mjs'
import { pidScope } from './pid-scope.mjs'
import { puppet } from './processes.mjs'

export const guide = build('without-reservations')
after(guide.remove)

export const { client, core, lock, program, prune, watcher } = await load(guide.dir)

/** What has to end before its folder is removed: it would make the folder anew. */
export const ends = []

/** A folder whose registry is the one that argus means. */
export const home = (t) => {
	cleanUp(t, () => Promise.all(ends.splice(0).map((end) => end())))
	const at = folder(t)
	process.env.ARGUS_REGISTRY_PATH = at.path
	return at
}

/** A process of argus on the guide's code. */
export const argus = async (t, at) => {
	const process = puppet(t, 'guide-puppet.mjs', [guide.dir, at.path])
	await process.expect('ready')
	return {
		...process,
		do: (task, details) => {
			process.start(task, details)
			return process.expect('done')
		},
	}
}

export const record = (id, more = {}) => ({
	id,
	host: '127.0.0.1',
	port: 9222,
	pid: process.pid,
	startedAt: Date.now(),
	updatedAt: Date.now(),
	pidScope: pidScope(more.pid),
	...more,
})

/** A watcher that has an id, is entered under it, and is removed with the test. */
export const started = async (id, more) => {
	const own = record(await watcher.resolveUniqueWatcherId(id), more)
	ends.push(() => watcher.removeWatcher(own.id))
	await watcher.announceWatcher(own)
	return own
}
