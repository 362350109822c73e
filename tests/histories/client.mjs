// A process that makes calls on a registry as it is told, one line of JSON each, and answers each call when
// it ends: `client.mjs KIND PATH OPTIONS`. tests/fixtures/history_client.rs does so in Rust.

import { createInterface } from 'node:readline'
import * as argus from '../../index.js'
import * as unlocked from '../../playground/unlocked.mjs'

const [kind, path, given] = process.argv.slice(2)
const options = JSON.parse(given)

const record = (key, value) => {
	const now = Date.now()
	return {
		id: key,
		host: '127.0.0.1',
		port: value,
		pid: process.pid,
		startedAt: now,
		updatedAt: now,
	}
}
const portOf = ({ watchers }, key) => watchers[key]?.port ?? null

/** Sets a key and counts, in one update: both answers come from what it found. */
const swapIn = (registry, { key, value, counter }) => {
	const answer = { before: portOf(registry, key), count: portOf(registry, counter) ?? 0 }
	registry.watchers[key] = record(key, value)
	registry.watchers[counter] = record(counter, answer.count + 1)
	return answer
}

const update = {
	/** Without a lock, to see that the judge finds it out. */
	unlocked: async (call) => {
		let answer
		await unlocked.updateRegistry(path, (registry) => {
			answer = swapIn(registry, call)
			return registry
		})
		return answer
	},
	sync: (call) => {
		let answer
		argus.updateRegistrySync(
			path,
			(registry) => {
				answer = swapIn(registry, call)
				return registry
			},
			options,
		)
		return answer
	},
	async: async (call) => {
		let answer
		await argus.updateRegistry(
			path,
			(registry) => {
				answer = swapIn(registry, call)
				return registry
			},
			options,
		)
		return answer
	},
	'async-updater': async (call) => {
		let answer
		await argus.updateRegistry(
			path,
			async (registry) => {
				await null
				answer = swapIn(registry, call)
				return registry
			},
			options,
		)
		return answer
	},
}

const calls = {
	swap: (call) => update[call.value % 3 === 0 && kind === 'async' ? 'async-updater' : kind](call),
	announce: async ({ key, value }) => {
		await argus.announceWatcher(path, record(key, value), options)
		return {}
	},
	claim: async ({ key, value }) => {
		try {
			await argus.claimWatcher(path, record(key, value), { ...options, suffix: false })
			return { isTaken: false }
		} catch (error) {
			if (error.code === 'ID_TAKEN') return { isTaken: true }
			throw error
		}
	},
	heartbeat: async ({ key }) => ({ was: await argus.heartbeatWatcher(path, key, options) }),
	remove: async ({ key }) => ({ was: await argus.removeWatcher(path, key, options) }),
	read: async ({ keys }) => {
		const { registry } = await argus.readRegistry(path)
		return { values: Object.fromEntries(keys.map((key) => [key, portOf(registry, key)])) }
	},
}

const answer = async (call) => {
	try {
		return { number: call.number, answer: await calls[call.name](call) }
	} catch (error) {
		const code = error instanceof argus.RegistryError ? error.code : 'UNTYPED'
		return { number: call.number, error: `${code} ${error.message}` }
	}
}

createInterface({ input: process.stdin }).on('line', async (line) => {
	process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`)
})
process.stdout.write('{"ready":true}\n')
