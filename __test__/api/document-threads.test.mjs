// Documents in worker threads, and processes and threads that end in the middle of a call on one.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { tryLockExclusive } from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { documentFolder, documentIn, LOCKS, lists, push } from '../support/documents.mjs'
import { folder, print } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet } from '../support/processes.mjs'
import { skipIf } from '../support/skip.mjs'
import { worker } from '../support/threads.mjs'

const isDeno = Boolean(process.versions.deno)

const makeDocument = (lock) => `
	const DOCUMENT_UP_TO_A_MINUTE = { timeoutMs: 60_000 }
	const options = { lock: '${lock}', durable: false, empty: () => [] }
	const document = new registry.Document(path, options);`

for (const lock of LOCKS) {
	test(`${lock}: 4 workers and the main thread x 50 updates: nothing lost`, async (t) => {
		const at = documentFolder(t, lock)
		const threads = await Promise.all(
			Array.from({ length: 4 }, () =>
				worker(
					`${makeDocument(lock)}
					ready()
					parentPort.once('message', async () => {
						for (let n = 0; n < 50; n += 1) {
							const push = (list) => [...list, n]
							if (n % 3 === 0) document.updateSync(push, DOCUMENT_UP_TO_A_MINUTE)
							else if (n % 3 === 1) await document.update(push, DOCUMENT_UP_TO_A_MINUTE)
							else await document.update(async (list) => push(list), DOCUMENT_UP_TO_A_MINUTE)
						}
						parentPort.postMessage((await document.load(DOCUMENT_UP_TO_A_MINUTE)).value.length)
					})`,
					at.path,
				),
			),
		)
		cleanUp(t, () => Promise.all(threads.map((thread) => thread.terminate())))
		const seen = threads.map((thread) => once(thread, 'message'))
		for (const thread of threads) thread.postMessage('go')
		const document = at.document()
		for (let n = 0; n < 50; n += 1) await document.update(push(n), DOCUMENT_UP_TO_A_MINUTE)
		for (const [length] of await Promise.all(seen)) assert.ok(length >= 50 && length <= 250)
		const expected = Array.from({ length: 50 }, (_, n) => Array(5).fill(n)).flat()
		assert.deepEqual(
			at.json().sort((a, b) => a - b),
			expected,
		)
		at.noLitter()
	})

	test(`${lock}: a worker that is terminated in its hold, or in its wait, frees the lock`, {
		skip: skipIf(isDeno, 'a worker may count as terminated before it is'),
	}, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print([]))
		const holds = [
			'document.update(() => new Promise(() => ready()), DOCUMENT_UP_TO_A_MINUTE)',
			'document.withLock(() => new Promise(() => ready()), DOCUMENT_UP_TO_A_MINUTE)',
			'document.updateSync(() => { ready(); for (;;); }, DOCUMENT_UP_TO_A_MINUTE)',
		]
		for (const hold of holds) {
			// A thread with nothing to wait for ends by itself.
			const stays = "parentPort.on('message', () => {})"
			const thread = await worker(`${makeDocument(lock)} ${stays}; ${hold}`, at.path)
			const document = at.document()
			await assert.rejects(document.save([]), { code: 'LOCK_BUSY' })
			await thread.terminate()
			await document.update(push(hold), DOCUMENT_UP_TO_A_MINUTE)
		}
		const waits = [
			'ready(); document.update((list) => [...list, "ghost"], { timeoutMs: Infinity })',
			'ready(); document.save(["ghost"], { timeoutMs: Infinity })',
			'ready(); document.updateSync((list) => [...list, "ghost"], { timeoutMs: Infinity })',
		]
		if (lock === 'lock-file') {
			waits.push('ready(); document.load({ timeoutMs: Infinity })')
			waits.push('ready(); document.loadSync({ timeoutMs: Infinity })')
		}
		for (const wait of waits) {
			const holder = puppet(t)
			holder.start('holdDocument', { path: at.path, options: { lock, durable: false } })
			await holder.expect('holding')
			const thread = await worker(`${makeDocument(lock)} ${wait}`, at.path)
			// Also one that blocks its thread ends while the lock is held.
			await thread.terminate()
			holder.settle()
			await holder.expect('done')
			await at.document().update(push(wait), DOCUMENT_UP_TO_A_MINUTE)
		}
		assert.equal(at.json().includes('ghost'), false)
		assert.equal(at.json().length, holds.length + 2 * waits.length)
		at.noLitter()
	})

	test(`${lock}: SIGKILL in the middle of updates: nothing acknowledged is lost, and no litter stays`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print(0))
		let acknowledged = 0
		for (let round = 1; round <= 10; round += 1) {
			const victim = puppet(t)
			victim.start('incrementForEver', { path: at.path, options: { lock, durable: false } })
			for (let i = 0; i < round; i += 1) {
				await victim.expect('updated')
				acknowledged += 1
			}
			await victim.kill()
			// What it had said until its end, and was not read yet.
			while ((await victim.next()).event !== 'exit') acknowledged += 1
			// One update of each victim may have been written, and not acknowledged.
			const counted = await at.document({}).update((n) => n, { timeoutMs: 0 })
			assert.ok(counted >= acknowledged && counted <= acknowledged + round, `${counted}`)
		}
		const { value } = await at.document({}).load()
		await at.document({}).save(value)
		at.noLitter()
	})
}

test('a lock file that a thread of this process holds is busy for the others', async (t) => {
	const at = folder(t)
	at.put(print([]))
	const document = documentIn(at, 'lock-file', lists)
	const held = tryLockExclusive(document.lockPath())
	const thread = await worker(
		`${makeDocument('lock-file')}
		const code = (promise) => promise.then(() => 'resolved', (error) => error.code)
		ready()
		parentPort.once('message', async () => {
			parentPort.postMessage([
				await code(document.load()),
				await code((async () => document.loadSync())()),
				await code((async () => document.loadSync({ timeoutMs: 250 }))()),
				await code((async () => document.updateSync((list) => list, { timeoutMs: 250 }))()),
			])
			parentPort.postMessage(document.loadSync({ timeoutMs: Infinity }).value)
		})`,
		at.path,
	)
	cleanUp(t, () => thread.terminate())
	const told = once(thread, 'message')
	thread.postMessage('go')
	assert.deepEqual(await told, [['LOCK_BUSY', 'LOCK_BUSY', 'LOCK_TIMEOUT', 'LOCK_TIMEOUT']])
	const value = once(thread, 'message')
	held.release()
	assert.deepEqual(await value, [[]])
})
