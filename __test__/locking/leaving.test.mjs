// Synchronous calls in `exit` handlers: what was under way in the thread gives way.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { cleanUp } from '../support/cleanup.mjs'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { asCommand, importPackage, packageFile } from '../support/script.mjs'

/** For a call that hangs. */
const TIMEOUT_MS = 60_000

/**
 * Runs a program that leaves; returns what its `exit` handlers noted. `leave` is what such a handler
 * calls; `stuck` never settles. `isCut`: the end of the process may interrupt an operation of the addon.
 */
const leaving = (t, body, { status: expected = 0, registry = EMPTY, isCut = false } = {}) => {
	const at = folder(t)
	at.put(print(registry))
	const { command, remove } = asCommand(`${importPackage}
		import { writeSync } from 'node:fs'
		const { Document, updateRegistry, updateRegistrySync, withRegistryLock } = registry
		const [path, dir] = ${JSON.stringify([at.path, at.dir])}
		const QUICK = { durable: false, timeoutMs: 30_000 }
		const turn = () => new Promise((resolve) => setImmediate(resolve))
		const stuck = () => new Promise(() => {})
		const notes = []
		const note = (call) => {
			try {
				notes.push(call())
			} catch ({ code, message }) {
				notes.push(code ?? message)
			}
		}
		const mark = (name) => (value) => ({ ...value, [name]: true })
		const leave = (update = updateRegistrySync) =>
			note(() => Object.keys(update(path, mark('left'), { timeoutMs: 10_000 })).slice(3).join())
		const print = () => writeSync(1, JSON.stringify(notes))
		${body}`)
	cleanUp(t, remove)
	const [file, ...args] = command
	const options = { encoding: 'utf8', timeout: TIMEOUT_MS }
	const { status, signal, stdout, stderr } = spawnSync(file, args, options)
	assert.deepEqual([status, signal], [expected, null], stderr)
	const others = at.others().filter((name) => !name.startsWith('doc.'))
	if (!isCut) assert.deepEqual(others, [])
	const { version, updatedAt, watchers, ...rest } = at.json()
	return { notes: JSON.parse(stdout), file: Object.keys(rest).join(), watchers }
}

const LEFT = { notes: ['left'], file: 'left', watchers: {} }

const PRINT_AT_EXIT = "process.on('exit', () => leave()); process.on('exit', print)"

/** What may be under way, each until the process exits. */
const pending = {
	'an async updater': 'updateRegistry(path, stuck, QUICK)',
	'a durable one': 'updateRegistry(path, stuck)',
	'one that waits behind others':
		"for (const name of 'abc') updateRegistry(path, async (value) => (await stuck(), mark(name)(value)), QUICK)",
	'a section under the lock': 'withRegistryLock(path, stuck, QUICK)',
	'a section that has several writes under way': `withRegistryLock(path, async (lock) => {
		for (const updatedAt of [1, 2, 3]) lock.write({ version: 1, updatedAt, watchers: {} })
		await stuck()
	})`,
}

for (const [name, call] of Object.entries(pending)) {
	test(`${name} gives way to a sync update in an exit handler`, (t) => {
		const left = leaving(t, `${PRINT_AT_EXIT}\n${call}\nawait turn(); await turn()\nprocess.exit()`)
		assert.deepEqual(left, LEFT)
	})
}

test('a wait for another holder gives way', (t) => {
	const left = leaving(
		t,
		`updateRegistrySync(path, (value) => value)
		const other = registry.tryLockExclusive(path + '.guard')
		process.on('exit', () => other.release())
		${PRINT_AT_EXIT}
		updateRegistry(path, mark('waited'), QUICK)
		await turn()
		process.exit()`,
	)
	assert.deepEqual(left, LEFT)
})

for (const [name, body] of Object.entries({
	'a sync updater': 'updateRegistrySync(path, () => process.exit())',
	'an async update’s updater': 'await updateRegistry(path, () => process.exit(), QUICK)',
	'an updater after an await':
		'await updateRegistry(path, async () => (await turn(), process.exit()), QUICK)',
	'a section under the lock': 'await withRegistryLock(path, () => process.exit(), QUICK)',
})) {
	test(`process.exit() inside ${name} gives up its lock`, (t) => {
		assert.deepEqual(leaving(t, `${PRINT_AT_EXIT}\n${body}`), LEFT)
	})
}

test('a program that ends by itself, or by an exception, gives up its locks', (t) => {
	const natural = `process.on('beforeExit', () => leave())
		${PRINT_AT_EXIT}
		updateRegistry(path, stuck, QUICK)`
	assert.deepEqual(leaving(t, natural), { ...LEFT, notes: ['RE_ENTRANT', 'left'] })
	const thrown = `${PRINT_AT_EXIT}
		updateRegistry(path, stuck, QUICK)
		setImmediate(() => setImmediate(() => { throw new Error('expected') }))`
	assert.deepEqual(leaving(t, thrown, { status: 1 }), LEFT)
})

test('a call within another is refused in an exit handler, too', (t) => {
	const { notes, file } = leaving(
		t,
		`process.on('exit', () => {
			note(() => Object.keys(updateRegistrySync(path, (value) => {
				leave()
				return mark('outer')(value)
			})).pop())
			leave()
			print()
		})
		await updateRegistry(path, () => process.exit(), QUICK)`,
	)
	assert.deepEqual(notes, ['RE_ENTRANT', 'outer', 'outer,left'])
	assert.equal(file, 'outer,left')
})

test('a document’s locks give way to its sync calls, and to a try-lock', (t) => {
	const { notes } = leaving(
		t,
		`const document = new Document(dir + '/doc.json', { empty: () => [], durable: false })
		await document.save([1])
		process.on('exit', () => {
			note(() => document.loadSync().value)
			note(() => document.updateSync((list) => [...list, 3]))
			document.withLock(stuck)
			note(() => registry.tryLockExclusive(dir + '/doc.lock').release())
			print()
		})
		document.update(async (list) => (await stuck(), [...list, 2]))
		await turn(); await turn()
		document.withLock(stuck)
		process.exit()`,
	)
	assert.deepEqual(notes, [[1], [1, 3], null])
})

test('a commit that is under way on another thread is finished, or not begun', (t) => {
	const registry = { ...EMPTY, big: 'x'.repeat(2_000_000) }
	const outcomes = new Set()
	for (const turns of [0, 1, 5, 20]) {
		for (const durable of [true, false]) {
			const { notes, file } = leaving(
				t,
				`${PRINT_AT_EXIT}
				updateRegistry(path, mark('async'), { durable: ${durable} })
				for (let each = 0; each < ${turns}; each++) await turn()
				process.exit()`,
				{ registry },
			)
			assert.deepEqual(notes, [file])
			outcomes.add(file)
		}
	}
	for (const outcome of outcomes) assert.match(outcome, /^big,(async,)?left$/)
})

test('operations on entries and heartbeats give way', (t) => {
	const { notes, watchers } = leaving(
		t,
		`const watcher = { id: 'app', host: '127.0.0.1', port: 1, pid: process.pid, startedAt: 1, updatedAt: 1 }
		await registry.announceWatcher(path, watcher)
		registry.startRegistryHeartbeat(path, () => watcher, { ...QUICK, intervalMs: 1, keepAlive: true })
		${PRINT_AT_EXIT}
		for (let each = 0; each < 20; each++) {
			registry.announceWatcher(path, { ...watcher, id: 'app-' + each })
			await turn()
		}
		process.exit()`,
		{ isCut: true },
	)
	assert.deepEqual(notes, ['left'])
	assert.ok(watchers.app)
})

test('a lock that one copy of the package holds gives way to another copy', (t) => {
	const left = leaving(
		t,
		`const require = createRequire(${JSON.stringify(packageFile)})
		delete require.cache[${JSON.stringify(packageFile)}]
		const another = require('./index.js')
		if (another.updateRegistrySync === updateRegistrySync) throw new Error('one copy')
		process.on('exit', () => leave(another.updateRegistrySync))
		process.on('exit', print)
		updateRegistry(path, stuck, QUICK)
		await turn()
		process.exit()`,
	)
	assert.deepEqual(left, LEFT)
})

test('a worker that exits gives up its locks, and those of other threads stay', (t) => {
	const { notes, file } = leaving(
		t,
		`import { Worker } from 'node:worker_threads'
		const worker = new Worker(\`
			const { workerData: [packageFile, path] } = require('node:worker_threads')
			const { updateRegistry, updateRegistrySync } = require(packageFile)
			const mark = (name) => (value) => ({ ...value, [name]: true })
			process.on('exit', () => updateRegistrySync(path, mark('worker')))
			updateRegistry(path, () => new Promise(() => {}), { durable: false })
			setImmediate(() => setImmediate(() => process.exit()))
		\`, { eval: true, workerData: [${JSON.stringify(packageFile)}, path] })
		await new Promise((resolve) => worker.once('exit', resolve))
		updateRegistrySync(path, mark('main'))
		print()`,
	)
	assert.deepEqual(notes, [])
	assert.equal(file, 'worker,main')
})

test('a program that emits exit itself goes on, and so do its updates', (t) => {
	const { notes, file } = leaving(
		t,
		`let runs = 0
		let settle
		const updating = updateRegistry(path, async (value) => {
			runs += 1
			await new Promise((resolve) => (settle = resolve))
			return mark('async')(value)
		}, QUICK)
		while (!settle) await turn()
		process.on('exit', () => leave())
		process.emit('exit', 0)
		process.removeAllListeners('exit')
		settle()
		await turn()
		while (runs < 2) await turn()
		settle()
		await updating
		leave()
		const end = new AbortController()
		updateRegistry(path, stuck, { ...QUICK, signal: end.signal }).catch(() => {})
		await turn()
		leave()
		end.abort()
		// It waits for the lock, which another thread may give up.
		await updateRegistry(path, (value) => value, QUICK)
		print()
		// Node has taken the event for the end of a program that still awaits.
		process.exit(0)`,
	)
	assert.deepEqual(notes, ['left', 'left,async', 'RE_ENTRANT'])
	assert.equal(file, 'left,async')
})
