// Once the package is loaded, every call works or fails with a RegistryError, whatever happens to the
// package's files, and whatever the process can't open any more. When the modules of lib/ were loaded by the
// first call of each function, the calls failed with MODULE_NOT_FOUND, or ran another version's code.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeBundle } from '../../scripts/bundle.mjs'
import { folder } from '../support/folder.mjs'
import { installPackage } from '../support/install.mjs'
import { commandFor, isRoot, NOBODY } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

/** Loads the package from a folder, changes its own state, calls every exported function, and prints the outcomes. */
const program = (change) => `
import fs, { writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
const same = (registry) => registry
const [dir, path] = process.argv.slice(2)
const registry = createRequire(join(dir, 'package.json'))('./index.js')
const watcher = { id: 'app', host: '', port: 1, pid: process.pid, startedAt: 1, updatedAt: 1 }
const options = { timeoutMs: 5_000 }
const calls = {
	createEmptyRegistry: () => registry.createEmptyRegistry(),
	registryPath: () => registry.registryPath(),
	writeRegistry: () => registry.writeRegistry(path, registry.createEmptyRegistry(), options),
	announceWatcher: () => registry.announceWatcher(path, watcher, options),
	heartbeatWatcher: () => registry.heartbeatWatcher(path, watcher, options),
	claimWatcher: () => registry.claimWatcher(path, watcher, options),
	pruneStaleWatchers: () => registry.pruneStaleWatchers(path, options),
	removeWatcher: () => registry.removeWatcher(path, 'app', options),
	startRegistryHeartbeat: () => registry.startRegistryHeartbeat(path, () => watcher).stop(),
	inspectLock: () => registry.inspectLock(path),
	readRegistry: () => registry.readRegistry(path),
	readRegistrySync: () => registry.readRegistrySync(path),
	tryLockExclusive: () => registry.tryLockExclusive(path + '.a.lock').release(),
	tryLockShared: () => registry.tryLockShared(path + '.b.lock').release(),
	updateRegistry: () => registry.updateRegistry(path, same, options),
	updateRegistrySync: () => registry.updateRegistrySync(path, same, options),
	withRegistryLock: () => registry.withRegistryLock(path, (lock) => lock.write(registry.createEmptyRegistry()), options),
	listWatchers: () => registry.listWatchers(registry.createEmptyRegistry()),
	setWatcherEntry: () => registry.setWatcherEntry(registry.createEmptyRegistry(), watcher),
	removeWatcherEntry: () => registry.removeWatcherEntry(registry.createEmptyRegistry(), 'app'),
	watchRegistry: async () => {
		const watch = registry.watchRegistry(path)
		await watch.next()
		await watch.return()
	},
	mirrorRegistry: async () => {
		let fail
		const failed = new Promise((_, reject) => {
			fail = reject
		})
		const mirror = registry.mirrorRegistry(path, path + '.mirrored', { ...options, onError: fail })
		try {
			await Promise.race([mirror.working, failed])
		} finally {
			await mirror.stop()
		}
	},
	Document: async () => {
		const document = new registry.Document(path + '.document', { empty: () => ({}) })
		await document.update((value) => ({ ...value, changed: true }), options)
		await document.load()
	},
	// What most processes never need.
	'an invalid value': () => registry.writeRegistry(path, {}, options),
	'a folder that is a file': () => registry.readRegistry(join(path, 'registry.json')),
}
const missing = Object.keys(registry).filter((name) => typeof registry[name] === 'function' && !(name in calls))
const outcomes = missing.map((name) => [name, 'is not called'])
await (async () => { ${change} })()
for (const [name, call] of Object.entries(calls)) {
	try {
		await call()
		outcomes.push([name, 'ok'])
	} catch (error) {
		outcomes.push([name, error.name + ' ' + error.code])
	}
}
// Not process.stdout, for which Bun 1.3 needs another descriptor.
writeSync(1, JSON.stringify(Object.fromEntries(outcomes)))
`

const outcomesAfter = (at, change, wrap = (command) => command) => {
	const { dir } = installPackage(join(at.dir, 'node_modules'))
	const file = join(at.dir, 'program.mjs')
	writeFileSync(file, program(change))
	const [command, ...args] = wrap([...commandFor(file), dir, join(at.dir, 'data', 'registry.json')])
	const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
	assert.equal(status, 0, stderr)
	const { RegistryError: ownCall, ...outcomes } = JSON.parse(stdout)
	assert.equal(ownCall, 'is not called')
	return outcomes
}

const assertAllWork = (outcomes) => {
	const { 'an invalid value': invalid, 'a folder that is a file': notAFolder, ...others } = outcomes
	assert.equal(invalid, 'RegistryError INVALID_VALUE')
	assert.match(notAFolder, /^(ok|RegistryError [A-Z_]+)$/)
	const failed = Object.entries(others).filter(([, outcome]) => outcome !== 'ok')
	assert.deepEqual(failed, [])
}

test('every call works after the package was moved away', (t) => {
	assertAllWork(outcomesAfter(folder(t), `fs.renameSync(dir, dir + '-moved')`))
})

test('no call runs code of the version that replaced the package', (t) => {
	assertAllWork(
		outcomesAfter(
			folder(t),
			`const replace = (folder) => {
				for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
					const path = join(folder, entry.name)
					if (entry.isDirectory()) replace(path)
					else if (path.endsWith('.js')) fs.writeFileSync(path, 'throw new Error("the other version")')
				}
			}
			replace(dir)`,
		),
	)
})

test('every call works while the functions of fs are mocked', (t) => {
	assertAllWork(
		outcomesAfter(
			folder(t),
			`for (const target of [fs, fs.promises]) {
				for (const name of Object.keys(target)) {
					if (typeof target[name] !== 'function' || /^[A-Z_]/.test(name)) continue
					target[name] = () => {
						throw new Error('fs is mocked')
					}
				}
			}`,
		),
	)
})

test('every call works as a user that may not read the package', {
	skip: skipIf(!isRoot, 'needs root'),
}, (t) => {
	const at = folder(t)
	chmodSync(at.dir, 0o755)
	assertAllWork(
		outcomesAfter(
			at,
			`fs.mkdirSync(join(path, '..'))
			fs.chownSync(join(path, '..'), ${NOBODY}, ${NOBODY})
			fs.chmodSync(join(dir, '..'), 0o700)
			process.setgroups?.([])
			process.setgid(${NOBODY})
			process.setuid(${NOBODY})`,
		),
	)
	chownSync(at.dir, 0, 0)
})

test('without a free descriptor every failure is a RegistryError', {
	skip: skipIf(process.platform === 'win32', 'needs ulimit'),
}, (t) => {
	const outcomes = outcomesAfter(
		folder(t),
		`fs.mkdirSync(join(path, '..'))
		await registry.updateRegistry(path, same)
		try {
			for (;;) fs.openSync('/dev/null')
		} catch (error) {
			if (error.code !== 'EMFILE') throw error
		}`,
		(command) => ['sh', '-c', 'ulimit -n 128; exec "$@"', 'sh', ...command],
	)
	const untyped = Object.entries(outcomes).filter(
		([, outcome]) => !/^(ok|RegistryError [A-Z_]+)$/.test(outcome),
	)
	assert.deepEqual(untyped, [])
	// No call was spared: these need a descriptor.
	for (const name of ['updateRegistry', 'updateRegistrySync', 'announceWatcher', 'readRegistry']) {
		assert.match(outcomes[name], /^RegistryError/, name)
	}
})

test('index.js is what scripts/bundle.mjs makes of lib/', async () => {
	for (const [path, text] of await makeBundle()) {
		assert.ok(readFileSync(path, 'utf8') === text, `${path} is out of date: npm run build`)
	}
})
