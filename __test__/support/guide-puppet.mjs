// A process of argus, on the code of the guide: it does what it is told, and says what it did.

import { load } from './guide-modules.mjs'

const say = (event, value) => process.send({ event, value })

const [dir, path] = process.argv.slice(2)
process.env.ARGUS_REGISTRY_PATH = path
const { core, lock, watcher } = await load(dir)

const bump = (registry) => ({ ...registry, count: (registry.count ?? 0) + 1 })

const tasks = {
	increment: async ({ times }) => {
		for (let i = 0; i < times; i += 1) await core.updateRegistry(bump)
	},
	/** As argus's own update does it. */
	incrementUnderLock: async ({ times }) => {
		for (let i = 0; i < times; i += 1) {
			await lock.withRegistryLock(async () => {
				const { registry } = await core.readRegistry()
				await core.writeRegistry(bump(registry))
			})
		}
	},
	resolve: async ({ id, times }) => {
		const ids = []
		for (let i = 0; i < times; i += 1) ids.push(await watcher.resolveUniqueWatcherId(id))
		return ids
	},
	announce: ({ record }) => watcher.announceWatcher(record),
	remove: ({ id }) => watcher.removeWatcher(id),
}

process.on('message', async ({ task, ...details }) => {
	try {
		say('done', await tasks[task](details))
	} catch (error) {
		say('failed', { name: error.name, code: error.code, message: error.message })
	}
})
process.on('disconnect', () => process.exit())
say('ready')
