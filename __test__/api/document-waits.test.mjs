// How long calls on a document wait for its lock, and what ends them: one try, a bounded wait, an abort.

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
	Document,
	tryLockExclusive,
	tryLockShared,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
} from '../../index.js'
import {
	documentFolder,
	documentIn,
	filesOf,
	LOCKS,
	lists,
	loaded,
	loads,
	noLitter,
	push,
	updates,
	writes,
} from '../support/documents.mjs'
import { caught } from '../support/failures.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { leaveOldLockfile } from '../support/locks.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet, script } from '../support/processes.mjs'
import { same } from '../support/updaters.mjs'

const ONE_TRY = { timeoutMs: 0 }

const reEntrant = { name: 'RegistryError', code: 'RE_ENTRANT' }

/** Another process that holds a document's lock until it is told to settle. */
const heldByPuppet = async (t, at, lock) => {
	const holder = puppet(t)
	holder.start('holdDocument', { path: at.path, options: { lock, durable: false } })
	await holder.expect('holding')
	return holder
}

const end = async (holder) => {
	holder.settle()
	await holder.expect('done')
}

/** What the error of a lock that is held names: the registry, or the lock file. */
const lockName = (at, lock) => (lock === 'registry' ? at.path : join(at.dir, filesOf(at, lock)[1]))

/** The calls that take a document's lock, all but those that block the thread. */
const waiting = (lock) => {
	const { updateSync: _, ...others } = writes(['written'])
	// Readers of a registry's lock take none.
	return lock === 'registry' ? others : { ...others, load: loads.load }
}

/** An update that is inside of its updater; `settle` lets it go on. */
const heldHere = async (document) => {
	let settle
	const settled = new Promise((resolve) => (settle = resolve))
	let done
	await new Promise((entered) => {
		done = document.update(async (list) => {
			entered()
			await settled
			return push('held')(list)
		}, DOCUMENT_UP_TO_A_MINUTE)
	})
	return async () => {
		settle()
		await done
	}
}

for (const lock of LOCKS) {
	test(`${lock}: while another process holds the lock, one try is busy, and a wait ends in time`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print(['there']))
		const holder = await heldByPuppet(t, at, lock)
		const document = at.document()
		const path = lockName(at, lock)
		const calls = { ...writes(['written']), ...(lock === 'lock-file' && loads) }
		for (const [name, call] of Object.entries(calls)) {
			const busy = await caught(call(document, ONE_TRY))
			assert.deepEqual(
				[busy.name, busy.code, busy.path],
				['RegistryError', 'LOCK_BUSY', path],
				name,
			)
			assert.match(busy.message, /: busy; try again later/, name)
			// A lock file carries no record, and a look at the system's table of locks can miss one.
			const told = lock === 'registry' ? [holder.pid] : [holder.pid, undefined]
			assert.ok(told.includes(busy.holder?.pid), name)

			const late = await caught(call(document, { timeoutMs: 50 }))
			assert.deepEqual([late.name, late.code, late.path], ['RegistryError', 'LOCK_TIMEOUT', path])
			assert.match(late.message, /still locked after/, name)
		}
		await end(holder)
		assert.deepEqual(at.json(), ['there', 'held'])
		at.noLitter()
	})

	test(`${lock}: by default a load and a save are one try, and the others wait`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print(['there']))
		const holder = await heldByPuppet(t, at, lock)
		const document = at.document()
		const busy = { code: 'LOCK_BUSY', path: lockName(at, lock) }
		await assert.rejects(document.save(['written']), busy)
		if (lock === 'lock-file') {
			await assert.rejects(document.load(), busy)
			assert.throws(() => document.loadSync(), busy)
		} else {
			assert.deepEqual(await document.load(), at.loaded(['there']))
			assert.deepEqual(document.loadSync(), at.loaded(['there']))
		}
		const updated = document.update(push('updated'))
		const locked = document.withLock(async (held) => held.write(push('locked')(at.json())))
		await end(holder)
		await updated
		await locked
		document.updateSync(push('sync'))
		assert.deepEqual(at.json(), ['there', 'held', 'updated', 'locked', 'sync'])
	})

	test(`${lock}: a call that waits goes on when the lock comes free, also on the calling thread`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print(['there']))
		for (const [name, call] of Object.entries(waiting(lock))) {
			const holder = await heldByPuppet(t, at, lock)
			let isOver = false
			const called = call(at.document()).then((value) => {
				isOver = true
				return value
			})
			await delay(5)
			assert.equal(isOver, false, name)
			await end(holder)
			const value = await called
			if (name === 'load') assert.equal(value.value.at(-1), 'held')
			else assert.deepEqual(at.json(), ['written'], name)
		}
		// The message to the other process is on its way when the thread blocks.
		for (const sync of [
			(document) => document.updateSync(push('sync'), DOCUMENT_UP_TO_A_MINUTE),
			(document) => document.loadSync(DOCUMENT_UP_TO_A_MINUTE).value,
		]) {
			const holder = await heldByPuppet(t, at, lock)
			holder.settle()
			assert.ok(Array.isArray(sync(at.document())))
			await holder.expect('done')
		}
	})

	test(`${lock}: a holder that is killed costs no wait`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print([]))
		for (const [name, call] of Object.entries({ ...writes(['written']), ...loads })) {
			const holder = await heldByPuppet(t, at, lock)
			await holder.kill()
			await call(at.document(), ONE_TRY)
			assert.ok(Array.isArray(at.json()), name)
		}
		// Readers of a registry's lock leave the dead holder's lockfile to the next writer.
		await at.document().save([], ONE_TRY)
		at.noLitter()
	})

	test(`${lock}: an abort ends a wait, and leaves nothing`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print(['there']))
		const holder = await heldByPuppet(t, at, lock)
		const document = at.document()
		for (const timeoutMs of [60_000, Number.POSITIVE_INFINITY]) {
			for (const [name, call] of Object.entries(waiting(lock))) {
				const aborter = new AbortController()
				const reason = new Error('mine')
				const called = caught(call(document, { timeoutMs, signal: aborter.signal }))
				await delay(2)
				aborter.abort(reason)
				const { code, path, cause } = await called
				assert.deepEqual([code, path, cause], ['ABORTED', at.path, reason], name)
			}
		}
		await end(holder)
		await document.update(same, ONE_TRY)
		assert.deepEqual(at.json(), ['there', 'held'])
		at.noLitter()
	})

	test(`${lock}: a signal that is aborted refuses each call before anything is made`, async (t) => {
		const at = documentFolder(t, lock)
		const signal = AbortSignal.abort('mine')
		const aborted = { name: 'RegistryError', code: 'ABORTED', path: at.path, cause: 'mine' }
		for (const [name, call] of Object.entries({ ...writes([]), ...loads })) {
			await assert.rejects(call(at.document(), { signal }), aborted, name)
		}
		assert.deepEqual(at.names(), [])
	})

	test(`${lock}: an abort while an updater runs, and before its value is written, writes nothing`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print(['there']))
		const document = at.document()
		const updaters = {
			sync: (aborter) => (list) => {
				aborter.abort()
				return push('x')(list)
			},
			async: (aborter) => async (list) => {
				await delay(1)
				aborter.abort()
				return push('x')(list)
			},
			'never settling': (aborter) => () => {
				setImmediate(() => aborter.abort())
				return new Promise(() => {})
			},
		}
		for (const [name, updater] of Object.entries(updaters)) {
			const aborter = new AbortController()
			const options = { ...DOCUMENT_UP_TO_A_MINUTE, signal: aborter.signal }
			const aborted = { code: 'ABORTED', path: at.path }
			await assert.rejects(document.update(updater(aborter), options), aborted, name)
			assert.deepEqual(at.json(), ['there'])
		}
		const aborter = new AbortController()
		const locked = document.withLock(
			async (held) => {
				await held.write(['written'])
				aborter.abort()
				return new Promise(() => {})
			},
			{ ...DOCUMENT_UP_TO_A_MINUTE, signal: aborter.signal },
		)
		await assert.rejects(locked, { code: 'ABORTED' })
		// What was written under the lock stays, and the lock is free.
		assert.deepEqual(await document.load(), at.loaded(['written']))
		await document.update(push('next'), ONE_TRY)
		at.noLitter()
	})

	/** It kept its process for as long as the lock was held, and its time was not over. */
	test(`${lock}: a call that was aborted keeps its process no longer`, async (t) => {
		const at = folder(t)
		at.put(print(['there']))
		const holder = await heldByPuppet(t, at, lock)
		const path = JSON.stringify(at.path)
		const text = (call) => `
			const document = new registry.Document(${path}, { lock: '${lock}', empty: () => [] })
			const aborter = new AbortController()
			const options = { timeoutMs: Infinity, signal: aborter.signal }
			document.${call}.catch((error) => console.log(error.code))
			setImmediate(() => aborter.abort())
			// Only if something keeps the process.
			setTimeout(() => process.exit(9), 20_000).unref()`
		const calls = ['update((list) => list, options)', 'save([], options)']
		if (lock === 'lock-file') calls.push('load(options)')
		for (const call of calls) {
			// The collector would end the wait as well, at a time that can't be known.
			const waiter = script(t, text(call), { flags: ['--min-semi-space-size=64'] })
			assert.equal(await waiter.line(), 'ABORTED', call)
			assert.equal(await waiter.exited, 0, call)
		}
		await end(holder)
	})

	test(`${lock}: earlier calls of the thread count: one try is busy, and a wait ends in time`, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document()
		const settle = await heldHere(document)
		const path = lockName(at, lock)
		const { update, save, withLock } = writes(['written'])
		for (const call of [update, save, withLock]) {
			const busy = await caught(call(at.document(), ONE_TRY))
			assert.deepEqual([busy.code, busy.path], ['LOCK_BUSY', path])
			assert.equal(busy.holder.pid, process.pid)
			const late = await caught(call(at.document(), { timeoutMs: 20 }))
			assert.deepEqual([late.code, late.path], ['LOCK_TIMEOUT', path])
			assert.equal(late.holder.pid, process.pid)
		}
		const queued = document.update(push('queued'), DOCUMENT_UP_TO_A_MINUTE)
		await settle()
		await queued
		assert.deepEqual(at.json(), ['held', 'queued'])
		// Two saves at once are two calls of one try.
		const settled = await Promise.allSettled([document.save(['a']), document.save(['b'])])
		assert.deepEqual(
			settled.map(({ reason }) => reason?.code),
			[undefined, 'LOCK_BUSY'],
		)
		assert.deepEqual(at.json(), ['a'])
		at.noLitter()
	})

	test(`${lock}: a call that would wait for the update that it is made in is refused at once`, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document()
		const other = new Document(join(at.dir, 'other', 'x.json'), { ...lists, lock })
		const { save, withLock } = writes([])
		const calls = {
			update: () => at.document().update(same, DOCUMENT_UP_TO_A_MINUTE),
			'update of one try': () => document.update(same, ONE_TRY),
			save: () => save(document),
			withLock: () => withLock(document),
			updateSync: async () => document.updateSync(same, DOCUMENT_UP_TO_A_MINUTE),
			'inside another': () =>
				other.update(async (list) => {
					await document.update(same, DOCUMENT_UP_TO_A_MINUTE)
					return list
				}, DOCUMENT_UP_TO_A_MINUTE),
			'inside another, sync': () =>
				other.update(
					() => document.updateSync(same, DOCUMENT_UP_TO_A_MINUTE),
					DOCUMENT_UP_TO_A_MINUTE,
				),
		}
		for (const [name, call] of Object.entries(calls)) {
			await document.update(async (list) => {
				await assert.rejects(call(), reEntrant, name)
				await delay(1)
				await assert.rejects(call(), reEntrant, name)
				return list
			}, DOCUMENT_UP_TO_A_MINUTE)
			await document.withLock(
				() => assert.rejects(call(), reEntrant, name),
				DOCUMENT_UP_TO_A_MINUTE,
			)
		}
		document.updateSync((list) => {
			assert.throws(() => document.updateSync(same, DOCUMENT_UP_TO_A_MINUTE), reEntrant)
			return list
		})
		// Another lock is another matter, and so is this one when the update is over.
		let later
		await document.update(async (list) => {
			await other.update(push('other'), DOCUMENT_UP_TO_A_MINUTE)
			other.updateSync(push('sync'))
			later = () => document.update(push('later'), DOCUMENT_UP_TO_A_MINUTE)
			return push('outer')(list)
		}, DOCUMENT_UP_TO_A_MINUTE)
		await later()
		assert.deepEqual((await other.load()).value, ['other', 'sync'])
		assert.deepEqual(at.json(), ['outer', 'later'])
	})

	test(`${lock}: an update in a batch is inside of what its own caller is inside of`, async (t) => {
		const at = documentFolder(t, lock)
		const outer = new Document(join(at.dir, 'outer.json'), { ...lists, lock, durable: false })
		const inner = at.document()
		const settle = await heldHere(inner)
		const first = inner.update(push('first'), DOCUMENT_UP_TO_A_MINUTE)
		const nested = outer.update(async (list) => {
			// It waits behind the first one, and runs in its batch.
			const second = inner.update(async (own) => {
				await assert.rejects(outer.update(same, DOCUMENT_UP_TO_A_MINUTE), reEntrant)
				return push('second')(own)
			}, DOCUMENT_UP_TO_A_MINUTE)
			await settle()
			await second
			return push('outer')(list)
		}, DOCUMENT_UP_TO_A_MINUTE)
		await Promise.all([first, nested])
		assert.deepEqual(at.json(), ['held', 'first', 'second'])
	})

	/** The second and later ones ran in the context of the first one's caller. */
	test(`${lock}: the functions of each call of a batch run in the async context of its caller`, async (t) => {
		const at = documentFolder(t, lock)
		const context = new AsyncLocalStorage()
		const seen = []
		const see = (what) => seen.push(`${what} ${context.getStore()}`)
		const document = (name) =>
			at.document({
				decode: (text) => {
					see('decode')
					if (text === 'bad') throw new Error('bad')
					return JSON.parse(text)
				},
				encode: (list) => {
					see('encode')
					return name === 'breaks' ? 'bad' : JSON.stringify(list)
				},
				empty: () => {
					see('empty')
					return []
				},
				onWarning: () => see('onWarning'),
			})
		const settle = await heldHere(at.document())
		const calls = ['first', 'breaks', 'keeps', 'async'].map((name) =>
			context.run(name, () =>
				document(name).update((list) => {
					see('updater')
					return name === 'async' ? delay(1, push(name)(list)) : push(name)(list)
				}, DOCUMENT_UP_TO_A_MINUTE),
			),
		)
		const written = context.run('write', () => document('write').save([], DOCUMENT_UP_TO_A_MINUTE))
		await settle()
		await Promise.all(calls)
		await written
		assert.deepEqual(
			['updater', 'onWarning', 'empty'].map((what) => seen.filter((each) => each.startsWith(what))),
			[
				['updater first', 'updater breaks', 'updater keeps', 'updater async'],
				['onWarning keeps'],
				// Twice: what "breaks" has made of the file is kept once it is in the file.
				['empty keeps', 'empty keeps'],
			],
		)
		const contexts = new Set(seen.map((each) => each.split(' ')[1]))
		assert.deepEqual([...contexts].sort(), ['async', 'breaks', 'first', 'keeps', 'write'])
	})

	test(`${lock}: a synchronous call that would block the update it waits for is refused`, async (t) => {
		const at = documentFolder(t, lock)
		at.put(print([]))
		const document = at.document()
		const settle = await heldHere(document)
		const told = {
			...reEntrant,
			message: /, in an asynchronous update; await or abort that first$/,
		}
		assert.throws(() => document.updateSync(same, DOCUMENT_UP_TO_A_MINUTE), told)
		assert.throws(() => document.updateSync(same, ONE_TRY), told)
		if (lock === 'lock-file') {
			assert.throws(() => document.loadSync(DOCUMENT_UP_TO_A_MINUTE), told)
			assert.throws(() => document.loadSync(), { code: 'LOCK_BUSY' })
			assert.throws(() => document.loadSync(ONE_TRY), { code: 'LOCK_BUSY' })
		}
		await settle()
		assert.deepEqual(document.loadSync(DOCUMENT_UP_TO_A_MINUTE), at.loaded(['held']))
		const elsewhere = AsyncLocalStorage.snapshot()
		document.updateSync((list) => {
			assert.throws(
				() => elsewhere(() => document.updateSync(same, DOCUMENT_UP_TO_A_MINUTE)),
				reEntrant,
			)
			if (lock === 'lock-file') {
				assert.throws(() => elsewhere(() => document.loadSync(DOCUMENT_UP_TO_A_MINUTE)), reEntrant)
			}
			return push('sync')(list)
		})
		assert.deepEqual(at.json(), ['held', 'sync'])
	})
}

test('readers share a lock file, a writer does not, and each waits for the other', async (t) => {
	const at = folder(t)
	at.put(print(['there']))
	const document = documentIn(at, 'lock-file', lists)
	const lockFile = document.lockPath()
	const busy = { code: 'LOCK_BUSY', path: lockFile }
	const reader = tryLockShared(lockFile)
	const all = await Promise.all(Array.from({ length: 8 }, () => document.load()))
	for (const each of all) assert.deepEqual(each, loaded('lock-file', ['there']))
	assert.deepEqual(document.loadSync(), loaded('lock-file', ['there']))
	for (const write of Object.values(writes(['written']))) {
		await assert.rejects(write(document, ONE_TRY), busy)
		await assert.rejects(write(document, { timeoutMs: 20 }), {
			code: 'LOCK_TIMEOUT',
			path: lockFile,
		})
	}
	const waiting = document.update(push('updated'), DOCUMENT_UP_TO_A_MINUTE)
	reader.release()
	await waiting
	const writer = tryLockExclusive(lockFile)
	for (const load of Object.values(loads)) {
		await assert.rejects(load(document, ONE_TRY), busy)
		await assert.rejects(load(document, { timeoutMs: 20 }), {
			code: 'LOCK_TIMEOUT',
			path: lockFile,
		})
	}
	const together = Array.from({ length: 8 }, () => document.load(DOCUMENT_UP_TO_A_MINUTE))
	writer.release()
	for (const each of await Promise.all(together)) {
		assert.deepEqual(each, loaded('lock-file', ['there', 'updated']))
	}
	noLitter(at, 'lock-file')
})

test('documents that share a lock file exclude each other, by whatever names', async (t) => {
	const at = folder(t)
	symlinkSync('.', join(at.dir, 'folder'))
	const path = (name) => join(at.dir, name)
	/** Documents of other files, under the lock file of the first one. */
	const documents = [
		new Document(path('registry.json'), lists),
		// Their names differ in their extensions only.
		new Document(path('registry.toml'), lists),
		new Document(path('other.json'), { ...lists, lockFile: path('registry.lock') }),
		new Document(path('more.json'), { ...lists, lockFile: path('folder/registry.lock') }),
	]
	for (const outer of documents) {
		for (const inner of documents) {
			await outer.update(async (list) => {
				await assert.rejects(inner.update(same, DOCUMENT_UP_TO_A_MINUTE), reEntrant)
				assert.throws(() => inner.updateSync(same, DOCUMENT_UP_TO_A_MINUTE), reEntrant)
				return list
			}, DOCUMENT_UP_TO_A_MINUTE)
		}
	}
	// They are one queue, and batches of one file each.
	const order = []
	await Promise.all(
		Array.from({ length: 40 }, (_, n) =>
			documents[(n >> 1) % documents.length].update((list) => {
				order.push(n)
				return push(n)(list)
			}, DOCUMENT_UP_TO_A_MINUTE),
		),
	)
	assert.deepEqual(order, [...Array(40).keys()])
	for (const [index, document] of documents.entries()) {
		const own = order.filter((n) => (n >> 1) % documents.length === index)
		assert.deepEqual((await document.load()).value, own)
	}
})

test('a document under the registry’s lock and calls on the registry are one queue', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const document = documentIn(at, 'registry')
	const calls = [
		() => updateRegistry(at.path, same, DOCUMENT_UP_TO_A_MINUTE),
		() => withRegistryLock(at.path, () => {}, DOCUMENT_UP_TO_A_MINUTE),
		async () => updateRegistrySync(at.path, same, DOCUMENT_UP_TO_A_MINUTE),
	]
	for (const call of calls) {
		await document.update(async (value) => {
			await assert.rejects(call(), reEntrant)
			return value
		}, DOCUMENT_UP_TO_A_MINUTE)
	}
	const nested = [...Object.values(updates).map((update) => () => update(document, same))]
	for (const call of nested) {
		await withRegistryLock(
			at.path,
			() => assert.rejects(call(), reEntrant),
			DOCUMENT_UP_TO_A_MINUTE,
		)
	}
	const count = (value) => ({ ...value, count: (value.count ?? 0) + 1 })
	await Promise.all(
		Array.from({ length: 50 }, (_, n) =>
			n % 2
				? document.update(count, DOCUMENT_UP_TO_A_MINUTE)
				: updateRegistry(at.path, count, DOCUMENT_UP_TO_A_MINUTE),
		),
	)
	assert.equal(at.json().count, 50)
	noLitter(at, 'registry')
})

test('a lockfile of an older argus is waited for under the registry’s lock, and taken over when it is stale', async (t) => {
	const at = folder(t)
	at.put(print([]))
	const document = documentIn(at, 'registry', lists)
	leaveOldLockfile(at, 5)
	await assert.rejects(document.update(push('a'), { timeoutMs: 20 }), { code: 'LOCK_TIMEOUT' })
	await assert.rejects(document.save([]), { code: 'LOCK_BUSY' })
	await document.update(push('b'), { timeoutMs: 2_000, staleMs: 1_000 })
	leaveOldLockfile(at, 20)
	document.updateSync(push('c'), ONE_TRY)
	assert.deepEqual(at.json(), ['b', 'c'])
	noLitter(at, 'registry')
	// To a lock file it means nothing.
	const other = folder(t)
	other.put(print([]))
	leaveOldLockfile(other, 5)
	await documentIn(other, 'lock-file', lists).update(push('a'), ONE_TRY)
	unlinkSync(other.lockfile)
	noLitter(other, 'lock-file')
})
