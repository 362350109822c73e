// A process of argus, on the code of the guide: it does the tasks that messages name, and reports
// what it did.

import { load } from './guide-modules.mjs'

const say = (event, value) => process.send({ event, value })

const [dir, path] = process.argv.slice(2)
process.env.ARGUS_REGISTRY_PATH = path
const { core, lock, watcher } = await load(dir)

const NOBODY = 65_534

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
	/** Starts watchers of one name, each of a start of its own, and returns the ids that they got. */
	start: async ({ record, times }) => {
		const ids = []
		for (let i = 0; i < times; i += 1) {
			const id = await watcher.resolveUniqueWatcherId(record.id)
			const own = { ...record, id, startedAt: record.startedAt + i }
			await watcher.announceWatcher(own)
			ids.push(own.id)
		}
		return ids
	},
	remove: ({ id }) => watcher.removeWatcher(id),
	/** Runs a heartbeat until it has reported so many errors. */
	beat: async ({ record, times }) => {
		const said = []
		let enough
		const until = new Promise((resolve) => (enough = resolve))
		console.error = (...what) => {
			said.push(what)
			if (said.length === times) enough()
		}
		const { stop } = watcher.startRegistryHeartbeat(() => record, 5)
		await until
		await stop()
		return { first: said[0], times }
	},
	/** Reads and prunes as a user who may not write, also where root runs the tests. */
	onlyRead: async () => {
		if (process.getuid?.() === 0) {
			process.setgroups?.([])
			process.setgid(NOBODY)
			process.setuid(NOBODY)
		}
		const { code } = await core.writeRegistry(core.createEmptyRegistry()).catch((error) => error)
		const { watchers } = await core.readAndPruneRegistry()
		return { code, ids: Object.keys(watchers) }
	},
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
