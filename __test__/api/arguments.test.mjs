// Arguments: options that a call does not have, and paths that are URLs or count from a folder that is gone.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { runInNewContext } from 'node:vm'
import {
	announceWatcher,
	claimWatcher,
	Document,
	heartbeatWatcher,
	inspectLock,
	pruneStaleWatchers,
	readRegistry,
	readRegistrySync,
	removeWatcher,
	startRegistryHeartbeat,
	tryLockExclusive,
	tryLockShared,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { failureOf } from '../support/failures.mjs'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'
import { same } from '../support/updaters.mjs'

/** Every call with options, and its options. */
const UPDATE = ['timeoutMs', 'staleMs', 'durable', 'onCorrupt', 'signal', 'onWarning']
const CALL = ['timeoutMs', 'staleMs', 'signal']
const withOptions = {
	updateRegistry: [(path, options) => updateRegistry(path, same, options), UPDATE],
	updateRegistrySync: [(path, options) => updateRegistrySync(path, same, options), UPDATE],
	writeRegistry: [(path, options) => writeRegistry(path, EMPTY, options), UPDATE],
	withRegistryLock: [(path, options) => withRegistryLock(path, () => 0, options), UPDATE],
	watchRegistry: [
		(path, options) => watchRegistry(path, options).return(),
		['signal', 'onWarning'],
	],
	inspectLock: [inspectLock, ['staleMs']],
	announceWatcher: [
		(path, options) => announceWatcher(path, record('a'), options),
		[...UPDATE, 'now'],
	],
	claimWatcher: [
		(path, options) => claimWatcher(path, record('a'), options),
		[...UPDATE, 'now', 'suffix', 'liveness', 'ttlMs'],
	],
	heartbeatWatcher: [(path, options) => heartbeatWatcher(path, 'a', options), [...UPDATE, 'now']],
	removeWatcher: [(path, options) => removeWatcher(path, 'a', options), [...UPDATE, 'now']],
	pruneStaleWatchers: [pruneStaleWatchers, [...UPDATE, 'now', 'ttlMs', 'liveness']],
	startRegistryHeartbeat: [
		(path, options) => startRegistryHeartbeat(path, () => record('a'), options).stop(),
		[
			...['timeoutMs', 'staleMs', 'durable', 'onCorrupt', 'onWarning'],
			...['intervalMs', 'onError', 'keepAlive'],
		],
	],
	'stop of a heartbeat': [
		(path, options) => startRegistryHeartbeat(path, () => record('a')).stop(options),
		['remove'],
	],
	Document: [
		(path, options) => new Document(path, options),
		[
			...['lock', 'lockFile', 'version', 'decode', 'encode', 'empty', 'onCorrupt', 'durable'],
			...['newFileMode', 'onWarning'],
		],
	],
	load: [(path, options) => new Document(path, { empty: same }).load(options), CALL],
	loadSync: [(path, options) => new Document(path, { empty: same }).loadSync(options), CALL],
	save: [(path, options) => new Document(path).save(1, options), CALL],
	update: [(path, options) => new Document(path, { empty: same }).update(same, options), CALL],
	updateSync: [
		(path, options) => new Document(path, { empty: same }).updateSync(same, options),
		CALL,
	],
	withLock: [(path, options) => new Document(path).withLock(() => 0, options), CALL],
	watch: [(path, options) => new Document(path).watch(options).return(), ['signal', 'onWarning']],
}

test('a heartbeat takes no signal, and no values of other kinds', async (t) => {
	const at = folder(t)
	const start = (options) => startRegistryHeartbeat(at.path, () => record('a'), options)
	for (const options of [
		{ signal: AbortSignal.abort() },
		...[true, '15000', [5], 0, Number.NaN].map((intervalMs) => ({ intervalMs })),
	]) {
		const error = await failureOf(() => start(options).stop())
		assert.equal(error?.code, 'INVALID_VALUE', JSON.stringify(options))
	}
	for (const remove of [0, 1, 'no', null]) {
		const heartbeat = start()
		assert.equal((await failureOf(() => heartbeat.stop({ remove })))?.code, 'INVALID_VALUE')
		assert.equal(await heartbeat.stop(), false)
	}
})

for (const [name, [call, known]] of Object.entries(withOptions)) {
	test(`${name}: an option that it does not have is refused, and the nearest one named`, async (t) => {
		const at = folder(t)
		for (const option of known) {
			for (const wrong of [`${option}s`, option.toUpperCase(), option.slice(0, -1)]) {
				const error = await failureOf(() => call(at.path, { [wrong]: undefined }))
				assert.deepEqual(
					[error?.name, error?.code, error?.path],
					[...['RegistryError', 'INVALID_VALUE', at.path]],
				)
				assert.match(error.message, new RegExp(`^there is no option '${wrong}' \\(`))
				assert.ok(error.message.endsWith(`); did you mean ${option}?`), error.message)
			}
		}
		const { message } = await failureOf(() => call(at.path, { retries: 3 }))
		const [, all] =
			/^there is no option 'retries' \(the options of this call are (.+)\); leave it out$/.exec(
				message,
			)
		assert.deepEqual(all.split(', ').sort(), [...known].sort())
		assert.deepEqual(at.others(), [])
	})
}

test('the options that programs of other libraries pass are recognised', async (t) => {
	const at = folder(t)
	const meant = { timeout: 'timeoutMs', stale: 'staleMs', abortSignal: 'signal', sync: undefined }
	for (const [wrong, right] of Object.entries(meant)) {
		const { message } = await failureOf(() => updateRegistry(at.path, same, { [wrong]: 1 }))
		assert.equal(/did you mean (\w+)/.exec(message)?.[1], right)
	}
})

/** Every function that takes a path. */
const withPath = {
	...Object.fromEntries(Object.entries(withOptions).map(([name, [call]]) => [name, call])),
	readRegistry,
	readRegistrySync,
	tryLockShared: (path) => tryLockShared(path).release(),
	tryLockExclusive: (path) => tryLockExclusive(path).release(),
	lockFile: (path) => new Document('registry.json', { lockFile: path }),
}

test('every function takes a file: URL as a path, also one of another realm', async (t) => {
	for (const [call, make] of Object.entries(withPath)) {
		const { dir } = folder(t)
		const path = join(dir, 'a registry, 100%.json')
		writeFileSync(path, print(EMPTY))
		const url = pathToFileURL(path)
		const { href, protocol } = url
		const foreign = runInNewContext('({ href, protocol })', { href, protocol })
		for (const each of [url, foreign])
			assert.equal(await failureOf(() => make(each)), undefined, call)
	}
	const { dir, path, json } = folder(t)
	const url = pathToFileURL(path)
	await updateRegistry(url, (registry) => ({ ...registry, updatedAt: 7 }))
	assert.equal(json().updatedAt, 7)
	assert.equal((await readRegistry(url)).registry.updatedAt, 7)
	assert.equal(new Document(url).path, path)
	assert.equal(new Document(url, { lockFile: new URL('b', url) }).lockPath(), join(dir, 'b'))
})

test('every function refuses other URLs, URLs as strings, and what is no path', async (t) => {
	const at = folder(t)
	const urls = [new URL('https://example.org/x'), new URL('file:///a%2Fb')]
	const strings = [`file://${at.path}`, `FILE:${at.path}`]
	const others = [Buffer.from(at.path), { href: at.path }, null, undefined, 7, '', 'a\0b']
	for (const [call, make] of Object.entries(withPath)) {
		for (const path of [...urls, ...strings, ...others]) {
			// A document may choose no lock file.
			if (call === 'lockFile' && path === undefined) continue
			const error = await failureOf(() => make(path))
			assert.deepEqual([error?.name, error?.code], ['RegistryError', 'INVALID_VALUE'], call)
			assert.equal(typeof error.path, 'string')
			if (urls.includes(path)) assert.match(error.message, /; pass a file: URL$/)
			if (strings.includes(path)) assert.match(error.message, /pass new URL\("file:/i)
		}
	}
	assert.deepEqual(at.others(), [])
})

test('a relative path is refused where the working folder was deleted', {
	skip: skipIf(process.platform === 'win32', 'Windows does not delete a working folder'),
}, () => {
	const failures = run(`
			import { mkdtempSync, rmSync } from 'node:fs'
			import { tmpdir } from 'node:os'
			const dir = mkdtempSync(tmpdir() + '/argus-registry-')
			process.chdir(dir)
			rmSync(dir, { recursive: true })
			const watcher = { id: 'a', host: '127.0.0.1', port: 1, pid: 1, startedAt: 1, updatedAt: 1 }
			const same = (value) => value
			const calls = {
				updateRegistry: () => registry.updateRegistry('r.json', same),
				updateRegistrySync: () => registry.updateRegistrySync('r.json', same),
				readRegistry: () => registry.readRegistry('r.json'),
				readRegistrySync: () => registry.readRegistrySync('r.json'),
				watchRegistry: () => registry.watchRegistry('r.json').next(),
				inspectLock: () => registry.inspectLock('r.json'),
				announceWatcher: () => registry.announceWatcher('r.json', watcher),
				startRegistryHeartbeat: () => registry.startRegistryHeartbeat('r.json', () => watcher).stop(),
				Document: () => new registry.Document('r.json'),
				lockFile: () => new registry.Document('/r.json', { lockFile: 'r.json' }),
				tryLockExclusive: () => registry.tryLockExclusive('r.json'),
			}
			const failures = []
			for (const [call, make] of Object.entries(calls)) {
				const done = await outcome((async () => make())())
				const message = await (async () => make())().catch((error) => error.message)
				failures.push([call, done.name, done.code, done.path, message])
			}
			console.log(JSON.stringify(failures))
		`)
	for (const [call, name, code, path, message] of failures) {
		assert.deepEqual([name, code, path], ['RegistryError', 'NOT_FOUND', 'r.json'], call)
		assert.match(message, /the working folder, from which this path counts, was deleted/, call)
	}
})
