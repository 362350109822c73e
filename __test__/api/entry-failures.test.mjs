// Entry operations that fail, and other operations in a batch with them.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	announceWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	removeWatcher,
} from '../../index.js'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { UP_TO_TWO_MINUTES } from '../support/options.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

test('a failure is that of every operation in the commit', async (t) => {
	const at = folder(t)
	at.put('{"version":2}')
	const settled = await Promise.allSettled([
		announceWatcher(at.path, record('a')),
		heartbeatWatcher(at.path, 'a'),
		removeWatcher(at.path, 'a'),
		pruneStaleWatchers(at.path),
	])
	for (const { reason } of settled) assert.equal(reason.code, 'UNSUPPORTED_VERSION')
	assert.equal(at.text(), '{"version":2}')
})

test('a commit that fails is the failure of all operations in it, and of no other', {
	skip: skipIf(process.platform === 'win32', 'there is no such limit here'),
}, (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	const big = record('big', { more: 'x'.repeat(200_000) })
	const settled = run(
		`const path = ${JSON.stringify(at.path)}
		const announce = (watcher) => outcome(registry.announceWatcher(path, watcher))
		const all = [
			announce(${JSON.stringify(record('first'))}),
			announce(${JSON.stringify(big)}),
			announce(${JSON.stringify(record('with it'))}),
			outcome(registry.pruneStaleWatchers(path)),
			announce(${JSON.stringify(record('last'))}),
		]
		console.log(JSON.stringify(await Promise.all(all)))`,
		{
			// The signal that comes with the limit would end the process before the error is seen.
			wrap: (command) => ['sh', '-c', 'trap "" XFSZ; ulimit -f 100; exec "$@"', 'sh', ...command],
		},
	)
	assert.deepEqual(
		settled.map(({ cause }) => cause),
		[undefined, 'EFBIG', 'EFBIG', undefined, undefined],
	)
	assert.deepEqual(settled[3].value, [])
	assert.deepEqual(at.ids(), ['first', 'last'])
})

test('corrupt bytes are kept by the operation that writes, and by no other', async (t) => {
	const at = folder(t)
	at.put('bad')
	const warned = []
	const options = { ...UP_TO_TWO_MINUTES, onWarning: (warning) => warned.push(warning) }
	assert.equal(await heartbeatWatcher(at.path, 'app', options), false)
	assert.equal(await removeWatcher(at.path, 'app', options), false)
	assert.deepEqual(await pruneStaleWatchers(at.path, options), [])
	assert.equal(at.text(), 'bad')
	assert.deepEqual(warned, [])
	await announceWatcher(at.path, record('app'), options)
	assert.deepEqual(at.ids(), ['app'])
	assert.deepEqual([warned.length, warned[0].code, warned[0].path], [1, 'CORRUPT', at.path])
	assert.match(
		warned[0].message,
		/was not a registry \(.+\); it was replaced, and its bytes are kept/,
	)
	assert.equal(readFileSync(warned[0].kept, 'utf8'), 'bad')
})

test('an operation that lost its lock is done again, on fresh content', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	let rounds = 0
	const options = { ...UP_TO_TWO_MINUTES, durable: true }
	// As an old argus does that takes the lock for stale, over and over, while others announce.
	const takeLock = () => {
		try {
			unlinkSync(at.lockfile)
			rounds += 1
		} catch {
			// Not held just now.
		}
	}
	for (let index = 0; index < 100; index += 1) {
		const announced = announceWatcher(at.path, record(`app-${index}`), options)
		let isDone = false
		const done = announced.finally(() => (isDone = true))
		while (!isDone) {
			takeLock()
			await new Promise((resolve) => setImmediate(resolve))
		}
		await done
	}
	assert.equal(at.ids().length, 100)
	assert.ok(rounds > 0, 'no lock was taken away')
})

/** An old argus that takes every lock for stale, until the file `END` is there. */
const lockTakerSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int linkat(int from, const char *old, int to, const char *name, int flags) {
	int (*real)(int, const char *, int, const char *, int) = dlsym(RTLD_NEXT, "linkat");
	int result = real(from, old, to, name, flags);
	if (strstr(name, ".lock") && access(getenv("END"), F_OK)) unlink(name);
	return result;
}`

test('an operation that loses its lock again and again may still give up, and delays no other', {
	skip: skipIf(process.platform !== 'linux', 'needs LD_PRELOAD'),
}, (t) => {
	const at = folder(t)
	const [source, library, end] = ['robber.c', 'robber.so', 'end'].map((name) => join(at.dir, name))
	writeFileSync(source, lockTakerSource)
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
	const { outcomes } = run(
		`const { writeFileSync } = await import('node:fs')
		const path = ${JSON.stringify(at.path)}
		const watcher = (id) => ({ ...${JSON.stringify(record('app'))}, id })
		const controllers = [0, 1].map(() => new AbortController())
		const announce = (id, options) => outcome(registry.announceWatcher(path, watcher(id), options))
		const patient = { timeoutMs: 60000 }
		const leaving = controllers.map(({ signal }, index) =>
			announce('leaves-' + index, { ...patient, signal }))
		const late = announce('late', { timeoutMs: 200 })
		const stays = announce('stays', patient)
		const outcomes = [await late]
		for (const controller of controllers) controller.abort()
		outcomes.push(...(await Promise.all(leaving)))
		writeFileSync(${JSON.stringify(end)}, '')
		outcomes.push(await stays)
		console.log(JSON.stringify({ outcomes }))`,
		{ env: { ...process.env, LD_PRELOAD: library, END: end } },
	)
	const codes = outcomes.map(({ code }) => code)
	assert.ok(['LOCK_LOST', 'LOCK_TIMEOUT'].includes(codes[0]), codes[0])
	assert.deepEqual(codes.slice(1), ['ABORTED', 'ABORTED', undefined])
	assert.deepEqual(at.ids(), ['stays'])
})

test('a handler that throws any value changes nothing of what is done', async (t) => {
	for (const thrown of [Object.create(null), null, new Error('mine'), 7]) {
		const at = folder(t)
		at.put('bad')
		const onWarning = () => {
			throw thrown
		}
		const both = await Promise.allSettled([
			announceWatcher(at.path, record('a'), { ...UP_TO_TWO_MINUTES, onWarning }),
			announceWatcher(at.path, record('b'), UP_TO_TWO_MINUTES),
		])
		assert.deepEqual(
			both.map(({ status }) => status),
			['fulfilled', 'fulfilled'],
		)
		assert.deepEqual(at.ids(), ['a', 'b'])
	}
})
