// Like client.mjs, with the lock of older argus versions: they know updates of the whole file only.

import { createInterface } from 'node:readline'
import { updateWithOlderArgusLock } from '../../__test__/support/older-argus-lock.mjs'

const [path] = process.argv.slice(3)

const swap = async ({ number, key, value, counter }) => {
	let answer
	let isWriting = false
	try {
		await updateWithOlderArgusLock(path, (registry) => {
			const portOf = (id) => registry.watchers[id]?.port ?? null
			answer = { before: portOf(key), count: portOf(counter) ?? 0 }
			const now = Date.now()
			const { pid } = process
			const set = (id, port) => {
				registry.watchers[id] = { id, host: '127.0.0.1', port, pid, startedAt: now, updatedAt: now }
			}
			set(key, value)
			set(counter, answer.count + 1)
			isWriting = true
			return registry
		})
		return { number, answer }
	} catch (error) {
		// It promises nothing about what failed after it had the lock.
		return { number, error: error.message, isUnknown: isWriting }
	}
}

createInterface({ input: process.stdin }).on('line', async (line) => {
	process.stdout.write(`${JSON.stringify(await swap(JSON.parse(line)))}\n`)
})
process.stdout.write('{"ready":true}\n')
