// What is asked of the disk, and by which calls.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../support/folder.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

/** Counts the fsyncs of a process in the file `COUNT`, one byte each. */
const counterSource = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
int fsync(int fd) {
	int (*real)(int) = dlsym(RTLD_NEXT, "fsync");
	int count = open(getenv("COUNT"), O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (write(count, "x", 1) != 1) abort();
	close(count);
	return real(fd);
}`

test('a durable update that finds its change made by a fast one makes that durable', {
	skip: skipIf(process.platform !== 'linux', 'needs LD_PRELOAD'),
}, (t) => {
	const at = folder(t)
	const [source, library, count] = ['counter.c', 'counter.so', 'count'].map((name) =>
		join(at.dir, name),
	)
	writeFileSync(source, counterSource)
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
	const { counts } = run(
		`const { readFileSync, writeFileSync } = await import('node:fs')
		const path = ${JSON.stringify(at.path)}
		const count = ${JSON.stringify(count)}
		const fast = { durable: false }
		// An updater that returns another object always writes.
		const set = (value) => (registry) => {
			registry.value = value
			return registry
		}
		const counts = {}
		const counting = async (name, work) => {
			writeFileSync(count, '')
			await work()
			counts[name] = readFileSync(count).length
		}
		await registry.updateRegistry(path, set(0), fast)
		await counting('fast', () => registry.updateRegistry(path, set(1), fast))
		await counting('fast, unchanged', () => registry.updateRegistry(path, set(1), fast))
		await counting('durable, unchanged', () => registry.updateRegistry(path, set(1)))
		await counting('sync, unchanged', () => registry.updateRegistrySync(path, set(1)))
		await counting('fast, then durable, in a batch', () =>
			Promise.all([
				registry.updateRegistry(path, set(2), fast),
				registry.updateRegistry(path, set(2)),
			]))
		await counting('fast, then async and durable', () =>
			Promise.all([
				registry.updateRegistry(path, set(3), fast),
				registry.updateRegistry(path, async (given) => set(3)(given)),
			]))
		await counting('remove, missing', () => registry.removeWatcher(path, 'gone'))
		console.log(JSON.stringify({ counts }))`,
		{ env: { ...process.env, LD_PRELOAD: library, COUNT: count } },
	)
	// Two each: of the file, and of the folder.
	assert.deepEqual(counts, {
		fast: 0,
		'fast, unchanged': 0,
		'durable, unchanged': 2,
		'sync, unchanged': 2,
		'fast, then durable, in a batch': 2,
		'fast, then async and durable': 2,
		'remove, missing': 2,
	})
})
