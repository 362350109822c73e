// The same updates with no lock around them, for the demonstration: the last writer wins.

import { readFile, rename, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { createEmptyRegistry } from '../index.js'

let writes = 0

const readOrEmpty = async (path) => {
	try {
		return JSON.parse(await readFile(path, 'utf8'))
	} catch (error) {
		if (error.code === 'ENOENT') return createEmptyRegistry()
		throw error
	}
}

/** Read, modify, replace in one step: all that is missing is the lock. */
export const updateRegistry = async (path, updater) => {
	const next = await updater(await readOrEmpty(path))
	// An updater that changed nothing returns nothing.
	if (!next) return
	// A process has several under way, and each needs a file of its own.
	writes += 1
	const temp = `${path}.${process.pid}.${writes}`
	await writeFile(temp, JSON.stringify(next, null, 2))
	await rename(temp, path)
}

const freeId = ({ watchers }, asked) => {
	let id = asked
	for (let suffix = 2; Object.hasOwn(watchers, id); suffix += 1) id = `${asked}-${suffix}`
	return id
}

export const claimWatcher = async (path, asked) => {
	let watcher
	await updateRegistry(path, (registry) => {
		watcher = { ...asked, id: freeId(registry, asked.id) }
		registry.watchers[watcher.id] = watcher
		return registry
	})
	const { id, pid, startedAt } = watcher
	return { watcher, claim: { id, pid, startedAt } }
}

const heartbeatWatcher = async (path, watcher) => {
	let found = false
	await updateRegistry(path, (registry) => {
		found = Object.hasOwn(registry.watchers, watcher.id)
		if (!found) return undefined
		registry.watchers[watcher.id] = { ...watcher, updatedAt: Date.now() }
		return registry
	})
	return found
}

const removeWatcher = (path, { id }) =>
	updateRegistry(path, (registry) => {
		delete registry.watchers[id]
		return registry
	})

export const startRegistryHeartbeat = (path, getWatcher, { intervalMs, onError }) => {
	let isStopped = false
	const beat = async () => {
		if (await heartbeatWatcher(path, await getWatcher())) return
		onError(Object.assign(new Error('the entry is gone'), { code: 'ENTRY_LOST' }))
	}
	const run = async () => {
		for (;;) {
			await delay(intervalMs)
			if (isStopped) return
			await beat()
		}
	}
	const running = run()
	const stop = async ({ remove = false } = {}) => {
		isStopped = true
		await running
		if (remove) await removeWatcher(path, await getWatcher())
	}
	return { stop }
}

const isAlive = (pid) => {
	try {
		process.kill(pid, 0)
		return true
	} catch {
		return false
	}
}

/** Without a look at the host: none of these watchers runs elsewhere. */
const reasonToPrune = ({ pid, updatedAt }, { ttlMs, liveness }) => {
	if (updatedAt < Date.now() - ttlMs) return 'expired'
	return liveness && !isAlive(pid) ? 'dead' : undefined
}

export const pruneStaleWatchers = async (path, options) => {
	const pruned = []
	await updateRegistry(path, (registry) => {
		for (const [id, watcher] of Object.entries(registry.watchers)) {
			const reason = reasonToPrune(watcher, options)
			if (!reason) continue
			pruned.push({ id, watcher, reason })
			delete registry.watchers[id]
		}
		return pruned.length > 0 ? registry : undefined
	})
	return pruned
}
