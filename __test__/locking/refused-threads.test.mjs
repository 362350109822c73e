// A process that gets no further thread of the system: each call that needs one says so, and takes nothing for locked.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { folder } from '../support/folder.mjs'
import { skipIf } from '../support/skip.mjs'

/** Refuses threads while the file `REFUSE` is there. */
const SOURCE = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = dlsym(RTLD_NEXT, "pthread_create");
	if (access(getenv("REFUSE"), F_OK) == 0) return EAGAIN;
	return real(thread, attributes, run, argument);
}`

const record = `{ id: 'app', host: '127.0.0.1', port: 1, pid: process.pid, startedAt: 1, updatedAt: Date.now() }`
const document = `new argus.Document(path, { empty: () => ({}) })`
const calls = [
	'argus.updateRegistry(path, (registry) => registry)',
	'argus.withRegistryLock(path, () => {})',
	'argus.writeRegistry(path, { version: 1, updatedAt: 1, watchers: {} })',
	`argus.announceWatcher(path, ${record})`,
	`${document}.load()`,
	`${document}.save({})`,
	`${document}.update((value) => value)`,
	"argus.updateRegistry(path + '/', (registry) => registry)",
]

/** Makes a call twice, without a thread and with one, in a process of its own: the thread stays for the next call. */
const program = (call) => `
const { rmSync, writeFileSync } = await import('node:fs')
const argus = await import(process.env.TEST_PACKAGE)
const path = process.env.TEST_FILE
const outcome = () => ${call}.then(() => 'done', ({ code, message }) => code + ' ' + message)
writeFileSync(process.env.REFUSE, '')
const without = await outcome()
rmSync(process.env.REFUSE)
console.log(JSON.stringify([without, await outcome()]))`

test('a thread that the system refuses is the error of the call that needs it', {
	skip: skipIf(process.platform !== 'linux', 'needs LD_PRELOAD'),
}, (t) => {
	const { dir } = folder(t)
	const [source, library, refuse] = ['refuse.c', 'refuse.so', 'refuse'].map((name) =>
		join(dir, name),
	)
	writeFileSync(source, SOURCE)
	execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
	const env = {
		...process.env,
		LD_PRELOAD: library,
		REFUSE: refuse,
		TEST_PACKAGE: fileURLToPath(new URL('../../index.js', import.meta.url)),
	}
	for (const [index, call] of calls.entries()) {
		const file = join(dir, `${index}.json`)
		if (call.startsWith(document)) writeFileSync(file, '{}')
		const args = ['--input-type=module', '-e', program(call)]
		const { status, stdout, stderr } = spawnSync(process.execPath, args, {
			encoding: 'utf8',
			env: { ...env, TEST_FILE: file },
		})
		assert.equal(status, 0, stderr)
		const [without, after] = JSON.parse(stdout)
		assert.match(without, /^IO .*refused another thread/, call)
		assert.equal(after, 'done', call)
	}
})
