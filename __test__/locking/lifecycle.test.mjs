// Processes that are killed, exit or are interrupted, and threads that are terminated, at any point
// of a call.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { getEventListeners, once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { inspectLock, updateRegistry, withRegistryLock } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { puppet, rustExample, script } from '../support/processes.mjs'
import { skipIf } from '../support/skip.mjs'
import { collector, worker } from '../support/threads.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const heldByPuppet = async (t, at) => {
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_A_MINUTE })
	await holder.expect('holding')
	return holder
}

const nextUpdate = (at, options = UP_TO_A_MINUTE) =>
	updateRegistry(at.path, (registry) => ({ ...registry, next: (registry.next ?? 0) + 1 }), options)

test('a killed holder costs no waiting: one try gets the lock', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	for (let round = 1; round <= 5; round += 1) {
		const holder = await heldByPuppet(t, at)
		await holder.kill()
		assert.equal((await inspectLock(at.path)).state, 'stale')
		await nextUpdate(at, { timeoutMs: 0 })
		assert.equal(at.json().next, round)
	}
	assert.deepEqual(at.others(), [])
})

test('SIGKILL in the middle of Node’s updates: old file or new, and the next update succeeds', async (t) => {
	const at = folder(t)
	at.put(print({ ...EMPTY, count: 0 }))
	let acknowledged = 0
	for (let round = 0; round < 20; round += 1) {
		const victim = puppet(t)
		victim.start('forEver', { path: at.path, options: UP_TO_A_MINUTE })
		for (let i = 0; i <= round; i += 1) {
			await victim.expect('updated')
			acknowledged += 1
		}
		await victim.kill()
		// What the process had acknowledged until its end, and this test had not read yet.
		for (;;) {
			const { event } = await victim.next()
			if (event === 'exit') break
			acknowledged += 1
		}
		await nextUpdate(at, { timeoutMs: 0 })
		const { count, next } = at.json()
		assert.ok(count >= acknowledged, `${count} in the file, ${acknowledged} acknowledged`)
		assert.ok(count <= acknowledged + round + 1)
		assert.equal(next, round + 1)
	}
	assert.deepEqual(at.others(), [])
})

test('SIGKILL at random points of Rust’s updates, 200 times', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const program = rustExample('increment')
	let last = 0
	for (let round = 1; round <= 200; round += 1) {
		const victim = spawn(program, [at.path, '60000', '--say'], {
			stdio: ['ignore', 'pipe', 'inherit'],
		})
		const exited = once(victim, 'exit')
		await once(victim.stdout, 'data')
		// It runs now; at which point it is depends on the time since then, which nothing controls.
		const spin = Math.random() * 2
		for (const start = performance.now(); performance.now() - start < spin; );
		victim.kill('SIGKILL')
		await exited
		await nextUpdate(at, { timeoutMs: 1_000, durable: false })
		const registry = at.json()
		assert.equal(registry.next, round)
		assert.ok(registry.watchers.counter.port >= last)
		last = registry.watchers.counter.port
		assert.deepEqual(at.others(), [])
	}
	assert.ok(last >= 200, `${last} updates by the victims`)
})

test('an idle process ends by itself: after updates, and with the addon only loaded', async (t) => {
	const at = folder(t)
	const path = JSON.stringify(at.path)
	const texts = [
		'',
		`await registry.updateRegistry(${path}, (r) => ({ ...r, updatedAt: 1 }))
		registry.updateRegistrySync(${path}, (r) => ({ ...r, updatedAt: 2 }))
		await registry.updateRegistry(${path}, (r) => r, { signal: new AbortController().signal })`,
		// Held by an updater that never settles: no event is left to wait for.
		`registry.updateRegistry(${path}, () => new Promise(() => {}))`,
		// Aborted: no call waits any more.
		`const aborter = new AbortController()
		registry.updateRegistry(${path}, () => new Promise(() => {}), { signal: aborter.signal }).catch(() => {})
		setImmediate(() => aborter.abort())`,
	]
	for (const text of texts) assert.equal(await script(t, text).exited, 0, text)
	await nextUpdate(at, { timeoutMs: 0 })
})

test('a wait that was aborted keeps its process alive no longer, though the lock is still held', async (t) => {
	const at = folder(t)
	const holder = await heldByPuppet(t, at)
	const waiter = script(
		t,
		`const aborter = new AbortController()
		registry.updateRegistry(${JSON.stringify(at.path)}, (r) => r, { timeoutMs: Infinity, signal: aborter.signal })
			.catch((error) => console.log(error.code))
		setImmediate(() => aborter.abort())
		// Runs only if something keeps the process alive.
		setTimeout(() => process.exit(9), 20_000).unref()`,
		// The garbage collector would end the wait, too, at a time that can't be known; it does not run
		// here.
		{ flags: ['--min-semi-space-size=64'] },
	)
	assert.equal(await waiter.line(), 'ABORTED')
	assert.equal(await waiter.exited, 0)
	holder.settle()
	await holder.expect('done')
})

test('the garbage collector does not release the lock of code that never settles', async (t) => {
	const gc = collector()
	for (const hold of [updateRegistry, withRegistryLock]) {
		const at = folder(t)
		await new Promise((entered) => {
			hold(at.path, () => new Promise(() => entered()), UP_TO_A_MINUTE)
		})
		for (let round = 0; round < 5; round += 1) {
			gc()
			await new Promise(setImmediate)
		}
		assert.equal((await inspectLock(at.path)).state, 'held')
	}
})

/**
 * The wait was over, but its caller did not know that yet when it aborted: the lock that the wait
 * had got then had no owner, and was held until the garbage collector found it, in an idle process
 * for ever.
 */
test('an abort at the moment at which the wait ends frees the lock', async (t) => {
	const at = folder(t)
	const aborting = script(
		t,
		`import { existsSync } from 'node:fs'
		const aborter = new AbortController()
		const aborted = registry.updateRegistry(${JSON.stringify(at.path)}, (r) => r, { timeoutMs: 60000, signal: aborter.signal })
		while (!existsSync(${JSON.stringify(at.lockfile)}));
		aborter.abort()
		await aborted.catch((error) => console.log(error.code))
		setInterval(() => {}, 1000)`,
		{ flags: ['--min-semi-space-size=64'] },
	)
	assert.equal(await aborting.line(), 'ABORTED')
	await nextUpdate(at, { timeoutMs: 20_000 })
	aborting.child.kill('SIGTERM')
	assert.equal(await aborting.exited, 'SIGTERM')
})

test('a call that is under way keeps its process alive until it settles, and no longer', async (t) => {
	const at = folder(t)
	const holder = await heldByPuppet(t, at)
	const waiter = script(
		t,
		`console.log('started')
		await registry.updateRegistry(${JSON.stringify(at.path)}, (r) => ({ ...r, waiter: true }), { timeoutMs: 60000 })
		console.log('updated')`,
	)
	assert.equal(await waiter.line(), 'started')
	const updated = waiter.line()
	holder.settle()
	await holder.expect('done')
	assert.equal(await updated, 'updated')
	assert.equal(await waiter.exited, 0)
	assert.equal(at.json().waiter, true)
})

/** What a process does when it exits, with the path of its registry. */
const exits = {
	'while waiting for another process': {
		held: true,
		text: 'registry.updateRegistry(path, (r) => r, { timeoutMs: 60000 }); setImmediate(() => process.exit(7))',
	},
	'in the updater': { text: 'registry.updateRegistry(path, () => process.exit(7))' },
	'in the async updater': {
		text: 'registry.updateRegistry(path, async () => { await 1; process.exit(7) })',
	},
	'in a sync updater': { text: 'registry.updateRegistrySync(path, () => process.exit(7))' },
	'during the commit': {
		text: 'registry.updateRegistry(path, (r) => { setImmediate(() => process.exit(7)); return { ...r, x: 1 } })',
	},
	'with everything going on': {
		text: 'for (let i = 0; i < 50; i++) registry.updateRegistry(path + i, (r) => ({ ...r, x: i })); setTimeout(() => process.exit(7), 3)',
	},
}

for (const [when, { held, text }] of Object.entries(exits)) {
	test(`process.exit() ${when} ends the process, and frees the lock`, async (t) => {
		const at = folder(t)
		const holder = held ? await heldByPuppet(t, at) : undefined
		assert.equal(await script(t, `const path = ${JSON.stringify(at.path)}; ${text}`).exited, 7)
		await holder?.kill()
		await nextUpdate(at, { timeoutMs: 0 })
	})
}

test('Ctrl-C ends a process that waits or holds, as it would without the addon', async (t) => {
	const at = folder(t)
	const path = JSON.stringify(at.path)
	const holder = await heldByPuppet(t, at)
	const say = `setInterval(() => {}, 1000); console.log('ready')`
	const waiter = script(
		t,
		`registry.updateRegistry(${path}, (r) => r, { timeoutMs: 60000 }); ${say}`,
	)
	await waiter.line()
	waiter.child.kill('SIGINT')
	assert.equal(await waiter.exited, 'SIGINT')
	await holder.kill()
	const updating = script(
		t,
		`registry.updateRegistry(${path}, () => new Promise(() => console.log('holding'))); setInterval(() => {}, 1000)`,
	)
	await updating.line()
	updating.child.kill('SIGINT')
	assert.equal(await updating.exited, 'SIGINT')
	await nextUpdate(at, { timeoutMs: 0 })
})

/** Terminates threads at each of these points again and again; the lock must come free. */
const terminateIn = async (at, middles) => {
	for (let round = 1; round <= 8; round += 1) {
		for (const middle of middles) {
			const thread = await worker(middle, at.path)
			await thread.terminate()
			await nextUpdate(at)
		}
	}
	assert.equal(at.json().next, 8 * middles.length)
	// Deno's worker may still do its last update; if it left a file, this loop would not end.
	while (at.others().length > 0) await new Promise(setImmediate)
}

test('worker.terminate() in the middle of waiting frees the lock, though the process lives', async (t) => {
	const at = folder(t)
	const holder = await heldByPuppet(t, at)
	const waiting = 'registry.updateRegistry(path, (r) => r, { timeoutMs: 60000 }); ready()'
	for (let round = 0; round < 5; round += 1) await (await worker(waiting, at.path)).terminate()
	holder.settle()
	await holder.expect('done')
	await nextUpdate(at)
	assert.deepEqual(at.others(), [])
})

test('worker.terminate() in the middle of an update frees the lock', (t) =>
	terminateIn(folder(t), [
		'registry.updateRegistry(path, () => new Promise(() => ready()))',
		'registry.updateRegistry(path, (r) => { ready(); return { ...r, x: 1 } })',
		'ready(); (async () => { for (;;) await registry.updateRegistry(path, (r) => ({ ...r, x: (r.x ?? 0) + 1 }), { durable: false }) })()',
		'ready(); (async () => { for (;;) await registry.announceWatcher(path, { id: "w", host: "", port: 1, pid: 1, startedAt: 1, updatedAt: 1 }, { durable: false }) })()',
	]))

test('worker.terminate() of a thread that is blocked or never idle frees the lock', {
	skip: skipIf(process.versions.deno, 'Deno leaves a worker that is not in its event loop running'),
}, async (t) => {
	const at = folder(t)
	const holder = await heldByPuppet(t, at)
	// It would wait for a minute.
	const standing = 'ready(); registry.updateRegistrySync(path, (r) => r, { timeoutMs: 60000 })'
	await (await worker(standing, at.path)).terminate()
	holder.settle()
	await holder.expect('done')
	await terminateIn(at, [
		'registry.updateRegistrySync(path, (r) => { ready(); for (;;); })',
		'ready(); for (;;) registry.updateRegistrySync(path, (r) => ({ ...r, x: (r.x ?? 0) + 1 }), { durable: false })',
	])
})

test('worker.terminate() ends a thread that is in a synchronous wait', {
	skip: skipIf(
		process.platform !== 'linux' || process.versions.deno,
		'needs /proc, and a runtime that ends such a worker',
	),
}, async (t) => {
	const at = folder(t)
	const holder = await heldByPuppet(t, at)
	// It would wait for ever: only the termination ends it.
	const text = 'ready(); registry.updateRegistrySync(path, (r) => r, { timeoutMs: Infinity })'
	const thread = await worker(text, at.path)
	const waits = new RegExp(`-> FLOCK .*:${statSync(at.guard).ino} `)
	while (!waits.test(readFileSync('/proc/locks', 'utf8'))) await new Promise(setImmediate)
	await thread.terminate()
	assert.equal((await inspectLock(at.path)).holder.pid, holder.pid)
	holder.settle()
	await holder.expect('done')
	await nextUpdate(at)
})

test('the addon loaded only by workers that end, while their waits go on in the kernel', async (t) => {
	const at = folder(t)
	const holder = await heldByPuppet(t, at)
	const workerFile = join(here, '..', 'support', 'waiting-worker.cjs')
	const host = script(
		t,
		`for (let i = 0; i < 10; i++) {
			const worker = new Worker(${JSON.stringify(workerFile)}, { workerData: ${JSON.stringify(at.path)} })
			await new Promise((resolve) => worker.once('message', resolve))
			await worker.terminate()
		}
		console.log('terminated')
		setTimeout(() => {}, 60_000)`,
		{ prelude: "import { Worker } from 'node:worker_threads'" },
	)
	assert.equal(await host.line(), 'terminated')
	// Now the thread that is still in the kernel's queue gets the lock, and must release it.
	holder.settle()
	await holder.expect('done')
	await nextUpdate(at)
	host.child.kill('SIGTERM')
	assert.equal(await host.exited, 'SIGTERM')
})

test('a lock whose object no code keeps stays held', async (t) => {
	const at = folder(t)
	const lockPath = JSON.stringify(`${at.dir}/x.lock`)
	const path = JSON.stringify(at.path)
	const host = script(
		t,
		`const outcome = (call) => { try { return call() ?? 'free' } catch ({ code }) { return code } }
		;(() => { registry.tryLockExclusive(${lockPath}) })()
		registry.updateRegistry(${path}, () => new Promise(() => {}))
		for (let i = 0; i < 10; i++) { await new Promise(setImmediate); gc() }
		console.log(outcome(() => registry.tryLockShared(${lockPath})), (await registry.inspectLock(${path})).state)`,
		{ flags: ['--expose-gc'] },
	)
	assert.equal(await host.line(), 'LOCK_BUSY held')
})

test('a signal is listened to only while a call is under way', async (t) => {
	const at = folder(t)
	const { signal } = new AbortController()
	const listeners = () => getEventListeners(signal, 'abort').length
	const calls = Array.from({ length: 20 }, () => nextUpdate(at, { ...UP_TO_A_MINUTE, signal }))
	assert.equal(listeners(), 1)
	await Promise.all(calls)
	assert.equal(listeners(), 0)
})

test('no descriptors and no files are left behind by updates', {
	skip: skipIf(process.platform !== 'linux', 'needs /proc'),
}, async (t) => {
	const at = folder(t)
	const open = () => readdirSync('/proc/self/fd').length
	await nextUpdate(at)
	const before = open()
	for (let i = 0; i < 100; i += 1) {
		await nextUpdate(at, UP_TO_A_MINUTE)
		await updateRegistry(at.path, () => Promise.reject(new Error('mine')), UP_TO_A_MINUTE).catch(
			() => {},
		)
	}
	// Replaced files are closed in the background; if they were not, this loop would not end.
	while (open() > before) await new Promise(setImmediate)
	assert.deepEqual(at.others(), [])
})
