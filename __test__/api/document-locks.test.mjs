// One file has one lock: documents of both kinds of lock, registry calls and Rust programs on one file.

import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
	mkdirSync,
	readFileSync,
	readlinkSync,
	rmSync,
	statSync,
	symlinkSync,
	unlinkSync,
	writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import {
	announceWatcher,
	claimWatcher,
	Document,
	heartbeatWatcher,
	pruneStaleWatchers,
	readRegistrySync,
	removeWatcher,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { cleanUp, killed } from '../support/cleanup.mjs'
import {
	documentFolder,
	documentIn,
	filesOf,
	LOCKS,
	lists,
	loaded,
	loads,
	namesIn,
	noLitter,
	push,
	updates,
	writes,
} from '../support/documents.mjs'
import { caught } from '../support/failures.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppets, rustExample } from '../support/processes.mjs'
import { isRoot, runUnprivileged } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'
import { same } from '../support/updaters.mjs'

const isWindows = process.platform === 'win32'

/** The kind of lock that is not this one. */
const otherThan = (lock) => LOCKS.find((each) => each !== lock)

/** The file that shows under which lock a file is used. */
const inUseOf = (at, lock) => join(at.dir, filesOf(at, lock)[1])

/** Every call that takes the lock of a registry. */
const registryCalls = {
	updateRegistry: (path) => updateRegistry(path, same, DOCUMENT_UP_TO_A_MINUTE),
	updateRegistrySync: async (path) => updateRegistrySync(path, same, DOCUMENT_UP_TO_A_MINUTE),
	writeRegistry: (path) => writeRegistry(path, EMPTY, DOCUMENT_UP_TO_A_MINUTE),
	withRegistryLock: (path) =>
		withRegistryLock(path, () => assert.fail('it runs'), DOCUMENT_UP_TO_A_MINUTE),
	announceWatcher: (path) => announceWatcher(path, record('app'), DOCUMENT_UP_TO_A_MINUTE),
	claimWatcher: (path) => claimWatcher(path, record('app'), DOCUMENT_UP_TO_A_MINUTE),
	heartbeatWatcher: (path) => heartbeatWatcher(path, 'old', DOCUMENT_UP_TO_A_MINUTE),
	removeWatcher: (path) => removeWatcher(path, 'old', DOCUMENT_UP_TO_A_MINUTE),
	// It takes the lock, because there is an entry to remove.
	pruneStaleWatchers: (path) => pruneStaleWatchers(path, DOCUMENT_UP_TO_A_MINUTE),
}

/** The program of tests/fixtures/count_document.rs, which starts when it is told to. */
const counting = (t, at, lock, times, marker) => {
	const flags = lock === 'registry' ? ['--registry-lock'] : []
	const args = [at.path, String(times), ...(marker ? [marker] : []), ...flags]
	const child = spawn(rustExample('count_document'), args, { stdio: ['pipe', 'pipe', 'inherit'] })
	cleanUp(t, () => killed(child))
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
	const exited = once(child, 'exit')
	const line = async () => (await lines.next()).value
	return {
		ready: async () => assert.equal(await line(), 'ready'),
		go: () => child.stdin.write('\n'),
		/** What it says at its end. */
		end: async () => {
			const said = await line()
			assert.deepEqual(await exited, [0, null])
			return said
		},
	}
}

const count = async (t, at, lock, times) => {
	const program = counting(t, at, lock, times)
	await program.ready()
	program.go()
	return program.end()
}

/** The file and what lies beside it, to see that nothing has changed. */
const snapshot = (at) => {
	const { ino, mtimeNs } = statSync(at.path, { bigint: true })
	return { names: namesIn(at), text: at.text(), ino, mtimeNs }
}

for (const lock of LOCKS) {
	const other = otherThan(lock)

	test(`a file used under ${lock}: each call under another kind of lock is refused, and leaves no trace`, async (t) => {
		const at = documentFolder(t, lock)
		await at.document({}).save({ ...EMPTY, watchers: { old: { updatedAt: 1 } } })
		const before = snapshot(at)
		const inUse = inUseOf(at, lock)
		const calls = {}
		for (const [name, call] of Object.entries({ ...writes(EMPTY), ...loads })) {
			calls[name] = () => call(documentIn(at, other, { empty: () => EMPTY }))
		}
		if (lock === 'lock-file') {
			for (const [name, call] of Object.entries(registryCalls)) calls[name] = () => call(at.path)
		} else {
			const elsewhere = { lockFile: join(at.dir, 'elsewhere.lock') }
			for (const [name, call] of Object.entries({ ...writes(EMPTY), ...loads })) {
				calls[`${name} under another lock file`] = () => call(new Document(at.path, elsewhere))
			}
		}
		for (const [name, call] of Object.entries(calls)) {
			const started = performance.now()
			const { name: type, code, path, message } = await caught(call())
			assert.deepEqual([type, code, path], ['RegistryError', 'LOCK_MISMATCH', at.path], name)
			assert.ok(message.includes(inUse), `${name}: ${message}`)
			assert.match(message, /under the lock/, name)
			assert.ok(performance.now() - started < 20_000, name)
			assert.deepEqual(snapshot(at), before, name)
		}
		// Calls that take no lock, and those under the right one, are as ever.
		assert.equal(readRegistrySync(at.path).warnings.length, 0)
		for (const load of Object.values(loads)) {
			assert.deepEqual(await load(at.document({})), at.loaded(JSON.parse(before.text)))
		}
		await at.document({}).update((value) => ({ ...value, updatedAt: 7 }), DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(at.json().updatedAt, 7)
		// As the message says, when no program uses the other lock any more.
		unlinkSync(inUse)
		for (const [name, call] of Object.entries(calls)) {
			if (name === 'withRegistryLock') continue
			await call()
			for (const each of at.names()) if (each !== basename(at.path)) unlinkSync(join(at.dir, each))
		}
	})

	test(`a file used under ${lock} in one language is refused under ${other} in the other`, async (t) => {
		const rust = folder(t)
		assert.equal(await count(t, rust, lock, 3), 'done')
		const byRust = snapshot(rust)
		for (const call of Object.values({ ...writes({}), ...loads })) {
			const error = await caught(call(documentIn(rust, other, { empty: () => ({}) })))
			assert.deepEqual([error.code, error.path], ['LOCK_MISMATCH', rust.path])
			assert.ok(error.message.includes(inUseOf(rust, lock)), error.message)
		}
		assert.deepEqual(snapshot(rust), byRust)
		assert.deepEqual(
			await documentIn(rust, lock).load(),
			loaded(lock, { count: 3, rust: 3, node: 0 }),
		)

		const node = folder(t)
		await documentIn(node, lock).save({ count: 1, rust: 0, node: 1 })
		const byNode = snapshot(node)
		// With 0 it only loads.
		for (const times of [0, 1]) {
			const said = await count(t, node, other, times)
			assert.match(said, /^failed LOCK_MISMATCH /)
			assert.ok(said.includes(inUseOf(node, lock)), said)
		}
		assert.deepEqual(snapshot(node), byNode)
		assert.equal(await count(t, node, lock, 2), 'done')
		assert.deepEqual(node.json(), { count: 3, rust: 2, node: 1 })
		noLitter(node, lock)
	})

	test(`${lock}: 4 processes of Node and 4 of Rust x 200 updates: the exact count, no overlap`, async (t) => {
		const at = documentFolder(t, lock)
		const marker = join(at.dir, 'marker')
		const times = 200
		const nodes = puppets(t, 4)
		const details = { path: at.path, times, marker, options: { lock, durable: false } }
		for (const each of nodes) each.start('countDocument', details)
		const rust = Array.from({ length: 4 }, () => counting(t, at, lock, times, marker))
		await Promise.all([
			...nodes.map((each) => each.expect('ready')),
			...rust.map((each) => each.ready()),
		])
		for (const each of nodes) each.settle()
		for (const each of rust) each.go()
		const said = await Promise.all(rust.map((each) => each.end()))
		for (const each of nodes) await each.expect('done')
		assert.deepEqual(said, Array(4).fill('done'))
		assert.deepEqual(at.json(), { count: 8 * times, rust: 4 * times, node: 4 * times })
		at.noLitter()
	})
}

/**
 * Each looked for the other's file before it made its own, and not after that: once in some thousand times
 * both went on, and one update was lost.
 */
test('of a document and a registry call that come to a new file at once, one wins and one is refused', async (t) => {
	const at = folder(t)
	const won = { document: 0, registry: 0 }
	for (let round = 0; round < 200; round += 1) {
		const path = join(at.dir, `${round}`, 'registry.json')
		mkdirSync(join(at.dir, `${round}`))
		const document = documentIn({ path }, 'lock-file', { empty: () => EMPTY })
		const calls = [
			() => document.update((value) => ({ ...value, updatedAt: 1 }), DOCUMENT_UP_TO_A_MINUTE),
			() => updateRegistry(path, (value) => ({ ...value, updatedAt: 2 }), DOCUMENT_UP_TO_A_MINUTE),
		]
		if (round % 2) calls.reverse()
		const started = calls.map((call) => call())
		if (round % 2) started.reverse()
		const codes = (await Promise.allSettled(started)).map(({ reason }) => reason?.code)
		const winner = codes.indexOf(undefined)
		const expected = [undefined, 'LOCK_MISMATCH']
		assert.deepEqual(codes, winner === 0 ? expected : expected.reverse(), `round ${round}`)
		won[winner === 0 ? 'document' : 'registry'] += 1
		const lock = LOCKS[winner]
		const there = { path, dir: join(at.dir, `${round}`) }
		assert.equal(JSON.parse(readFileSync(path, 'utf8')).updatedAt, winner + 1)
		noLitter(there, lock)
	}
	// On Windows other threads take both locks, and the call that came first may still come second every time.
	if (!isWindows) assert.ok(won.document > 0 && won.registry > 0, JSON.stringify(won))
})

test('of two processes that come to a new file by different locks, one wins and one is refused', async (t) => {
	const at = folder(t)
	const both = puppets(t, 2)
	for (let round = 0; round < 100; round += 1) {
		const dir = join(at.dir, `${round}`)
		mkdirSync(dir)
		const there = { dir, path: join(dir, 'registry.json') }
		for (const [index, each] of both.entries()) {
			const options = { lock: LOCKS[index], durable: false }
			each.start('incrementNumber', { path: there.path, times: 5, options })
		}
		const said = await Promise.all(both.map((each) => each.next()))
		const winner = said.findIndex(({ event }) => event === 'done')
		assert.notEqual(winner, -1, JSON.stringify(said))
		assert.equal(said[1 - winner].value?.code, 'LOCK_MISMATCH', JSON.stringify(said))
		assert.equal(readFileSync(there.path, 'utf8'), '5')
		noLitter(there, LOCKS[winner])
	}
})

test('a lock file that is deleted while it is held: the update runs again, on what is there by then', async (t) => {
	const at = folder(t)
	const document = documentIn(at, 'lock-file', lists)
	const lockFile = document.lockPath()
	const [second] = puppets(t, 1)
	let runs = 0
	for (const [name, update] of Object.entries(updates)) {
		at.put(print([]))
		runs = 0
		const value = await update(document, (list) => {
			runs += 1
			if (runs === 1) {
				unlinkSync(lockFile)
				// A program that has the lock of the new file, and writes.
				const other = new Document(at.path, { lockFile: `${lockFile}.other`, durable: false })
				other.updateSync(push('other'))
				unlinkSync(`${lockFile}.other`)
			}
			return push(name)(list)
		})
		assert.deepEqual([value, at.json(), runs], [['other', name], ['other', name], 2])
	}
	// A process comes while the lock file is gone, and makes another one.
	at.put(print([]))
	runs = 0
	await document.update(async (list) => {
		runs += 1
		if (runs === 1) {
			unlinkSync(lockFile)
			const options = { lock: 'lock-file', durable: false }
			second.start('holdDocument', { path: at.path, options })
			await second.expect('holding')
			second.settle()
			await second.expect('done')
		}
		return push('first')(list)
	}, DOCUMENT_UP_TO_A_MINUTE)
	assert.deepEqual([at.json(), runs], [['held', 'first'], 2])
	noLitter(at, 'lock-file')
})

test('a lock file that is deleted while it is held, with no time left: the update is lost, and nothing is written', async (t) => {
	const at = folder(t)
	at.put(print(['there']))
	const document = documentIn(at, 'lock-file', lists)
	const lost = { name: 'RegistryError', code: 'LOCK_LOST', path: at.path }
	const rob = () => unlinkSync(document.lockPath())
	for (const update of Object.values(updates)) {
		const robbed = (list) => {
			rob()
			return push('x')(list)
		}
		await assert.rejects(update(document, robbed, { timeoutMs: 0 }), lost)
		assert.deepEqual(at.json(), ['there'])
	}
	let told
	const locked = document.withLock(async (held) => {
		await held.write(['written'])
		rob()
		told = await caught(held.write(['x']))
		return 'done'
	}, DOCUMENT_UP_TO_A_MINUTE)
	await assert.rejects(locked, lost)
	assert.deepEqual([told.code, at.json()], ['LOCK_LOST', ['written']])
	await document.update(push('next'), DOCUMENT_UP_TO_A_MINUTE)
	noLitter(at, 'lock-file')
})

for (const lock of LOCKS) {
	test(`${lock}: a document that is deleted, or replaced in place, during its update`, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document()
		for (const [name, update] of Object.entries(updates)) {
			at.put(print([name]))
			await update(document, (list) => {
				unlinkSync(at.path)
				return push('deleted')(list)
			})
			assert.deepEqual(at.json(), [name, 'deleted'])
			const { save } = writes(['saved'])
			await document.withLock(async (held) => {
				unlinkSync(at.path)
				await held.write(['a'])
				unlinkSync(at.path)
				await held.write(['b'])
			}, DOCUMENT_UP_TO_A_MINUTE)
			assert.deepEqual(at.json(), ['b'])
			unlinkSync(at.path)
			await save(document)
		}
		at.noLitter()
	})

	test(`${lock}: a folder that is deleted during an update: it runs again, and starts from nothing`, {
		skip: skipIf(isWindows, 'there a folder with an open file in it can not be deleted'),
	}, async (t) => {
		const at = folder(t)
		const path = join(at.dir, 'folder', 'registry.json')
		const there = { path, dir: join(at.dir, 'folder') }
		const document = documentIn(there, lock, lists)
		for (const [name, update] of Object.entries(updates)) {
			await document.save(['there'])
			let runs = 0
			await update(document, (list) => {
				runs += 1
				if (runs === 1) rmSync(there.dir, { recursive: true })
				return push(name)(list)
			})
			assert.deepEqual([JSON.parse(readFileSync(path, 'utf8')), runs], [[name], 2])
			noLitter(there, lock)
		}
	})

	test(`${lock}: a document by the names of symbolic links is one document, and the links stay`, {
		skip: skipIf(isWindows, 'links take a privilege there'),
	}, async (t) => {
		const at = folder(t)
		mkdirSync(join(at.dir, 'real'))
		const real = { dir: join(at.dir, 'real'), path: join(at.dir, 'real', 'registry.json') }
		symlinkSync('real', join(at.dir, 'folder'))
		symlinkSync(join('folder', 'registry.json'), join(at.dir, 'link.json'))
		symlinkSync('link.json', join(at.dir, 'twice.json'))
		const names = ['real/registry.json', 'folder/registry.json', 'link.json', 'twice.json']
		const documents = names.map((name) => documentIn({ path: join(at.dir, name) }, lock, lists))
		// The first one finds the links dangling.
		for (const document of documents.reverse()) {
			for (const update of Object.values(updates)) await update(document, push(document.path))
			assert.equal(document.lockPath(), inUseOf(real, lock))
		}
		for (const outer of documents) {
			for (const inner of documents) {
				const nested = () =>
					assert.rejects(inner.update(same, DOCUMENT_UP_TO_A_MINUTE), { code: 'RE_ENTRANT' })
				await outer.withLock(nested, DOCUMENT_UP_TO_A_MINUTE)
			}
		}
		await Promise.all(
			documents.map((each) => each.update(push('together'), DOCUMENT_UP_TO_A_MINUTE)),
		)
		assert.equal(JSON.parse(readFileSync(real.path, 'utf8')).length, 12)
		noLitter(real, lock)
		assert.equal(readlinkSync(join(at.dir, 'twice.json')), 'link.json')
		symlinkSync('loop.json', join(at.dir, 'loop.json'))
		const loop = documentIn({ path: join(at.dir, 'loop.json') }, lock, lists)
		for (const call of Object.values({ ...writes([]), ...loads })) {
			await assert.rejects(call(loop), { name: 'RegistryError', code: 'IO' })
		}
		assert.throws(() => loop.lockPath(), { name: 'RegistryError', code: 'IO' })
	})
}

test('what is no regular file is not used as a lock file', {
	skip: skipIf(isWindows, 'links take a privilege there, and there are no FIFOs'),
}, async (t) => {
	const at = folder(t)
	at.put(print(['there']))
	const path = (name) => join(at.dir, name)
	mkdirSync(path('folder.lock'))
	execFileSync('mkfifo', [path('fifo.lock')])
	writeFileSync(path('target'), '')
	symlinkSync('target', path('link.lock'))
	symlinkSync('nowhere', path('dangling.lock'))
	writeFileSync(path('file'), 'content')
	const before = snapshot(at)
	for (const lockFile of [
		'folder.lock',
		'fifo.lock',
		'link.lock',
		'dangling.lock',
		'file/x.lock',
	]) {
		const document = new Document(at.path, { ...lists, lockFile: path(lockFile) })
		for (const [name, write] of Object.entries(writes(['written']))) {
			const told = { name: 'RegistryError', code: 'IO' }
			await assert.rejects(write(document), told, `${lockFile} ${name}`)
		}
	}
	assert.deepEqual(snapshot(at), before)
	// A file with content may be anything: its lock is taken, and it stays as it is.
	const document = new Document(at.path, { ...lists, lockFile: path('file') })
	await document.update(push('a'))
	assert.deepEqual(await document.load(), loaded('lock-file', ['there', 'a']))
	assert.equal(readFileSync(path('file'), 'utf8'), 'content')
})

test('a folder that a lock file needs is made to write, and not to read', async (t) => {
	const at = folder(t)
	at.put(print(['there']))
	const lockFile = join(at.dir, 'not', 'yet', 'x.lock')
	const document = new Document(at.path, { ...lists, lockFile })
	for (const load of Object.values(loads)) {
		assert.deepEqual(await load(document), { value: ['there'], locked: false })
	}
	assert.deepEqual(namesIn(at), ['registry.json'])
	await document.update(push('a'))
	assert.deepEqual(await document.load(), { value: ['there', 'a'], locked: true })
	assert.deepEqual(namesIn(at), ['not', 'registry.json'])
	assert.equal(statSync(lockFile).isFile(), true)
})

for (const lock of LOCKS) {
	test(`${lock}: a process that may only read loads, and is refused to write`, {
		skip: skipIf(isWindows, 'no modes'),
	}, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document()
		const text = `
			const document = new registry.Document(${JSON.stringify(at.path)}, { lock: '${lock}', empty: () => [] })
			console.log(JSON.stringify({
				loads: [await outcome(document.load()), await outcome((async () => document.loadSync())())],
				writes: [
					await outcome(document.update((list) => [...list, 'x'])),
					await outcome((async () => document.updateSync((list) => [...list, 'x']))()),
					await outcome(document.save([])),
					await outcome(document.withLock((lock) => lock.write([]))),
				],
			}))`
		/** Whatever the umask of the tests is. */
		const { chmodSync } = await import('node:fs')
		// First without a lock file, then with one that may be read, then with one that may not.
		for (const mode of [undefined, 0o644, 0o600]) {
			if (mode === undefined) at.put(print(['there']))
			else {
				await document.save(['there'])
				chmodSync(inUseOf(at, lock), mode)
			}
			chmodSync(at.path, 0o644)
			chmodSync(at.dir, 0o555)
			const before = snapshot(at)
			const outcomes = runUnprivileged(text)
			chmodSync(at.dir, 0o755)
			const locked = lock === 'lock-file' && mode === 0o644
			// The owner of the files, who may write them nevertheless, is no such process.
			if (isRoot) {
				for (const { value } of outcomes.loads) {
					assert.deepEqual(value, { value: ['there'], locked }, `${mode?.toString(8)}`)
				}
			}
			for (const { name, code, cause } of outcomes.writes) {
				const told = ['RegistryError', 'PERMISSION_DENIED', 'EACCES']
				assert.deepEqual([name, code, cause], told, `${mode?.toString(8)}`)
			}
			assert.deepEqual(snapshot(at), before)
		}
	})
}
