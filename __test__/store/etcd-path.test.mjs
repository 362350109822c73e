// A path of etcd is no file: without the package of that store it is refused, and nothing is created. A call that
// needs a file refuses it with the package, too.

import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Document, mirrorRegistry, tryLockExclusive } from '../../index.js'
import { skipWithoutEtcd } from '../support/etcd.mjs'
import { folder } from '../support/folder.mjs'
import { installEtcdPackage, installPackage } from '../support/install.mjs'
import { script } from '../support/processes.mjs'

const path = 'etcd://127.0.0.1:2379/argus'

/** What each call with the path of a registry says, in a program of a folder. */
const CALLS = `
	const path = ${JSON.stringify(path)}
	const watcher = { id: 'app', host: 'h', port: 1, pid: 1, startedAt: 1, updatedAt: 1 }
	const never = () => { throw new Error('it must not run') }
	const calls = {
		readRegistry: () => argus.readRegistry(path),
		readRegistrySync: () => argus.readRegistrySync(path),
		updateRegistry: () => argus.updateRegistry(path, never),
		updateRegistrySync: () => argus.updateRegistrySync(path, never),
		writeRegistry: () => argus.writeRegistry(path, { version: 1, updatedAt: 1, watchers: {} }),
		withRegistryLock: () => argus.withRegistryLock(path, never),
		announceWatcher: () => argus.announceWatcher(path, watcher),
		claimWatcher: () => argus.claimWatcher(path, watcher),
		heartbeatWatcher: () => argus.heartbeatWatcher(path, 'app'),
		removeWatcher: () => argus.removeWatcher(path, 'app'),
		pruneStaleWatchers: () => argus.pruneStaleWatchers(path),
		startRegistryHeartbeat: () => argus.startRegistryHeartbeat(path, never),
		watchRegistry: () => argus.watchRegistry(path),
		inspectLock: () => argus.inspectLock(path),
		mirrorRegistry: () => argus.mirrorRegistry(path, 'mirror.json'),
	}
	const said = {}
	for (const [name, call] of Object.entries(calls)) {
		said[name] = await (async () => call())().then(
			() => 'nothing',
			({ name, code, path, message }) => ({ name, code, path, message }),
		)
	}
	console.log(JSON.stringify(said))`

/** Runs the calls in a program beside a node_modules. */
const saidIn = async (t, dir) => {
	const file = join(dir, 'program.mjs')
	writeFileSync(file, `import * as argus from 'argus-registry'\n${CALLS}`)
	const program = script(
		t,
		`process.chdir(${JSON.stringify(dir)}); await import(${JSON.stringify(pathToFileURL(file))})`,
		{
			prelude: '',
		},
	)
	const said = JSON.parse(await program.line())
	assert.equal(await program.exited, 0)
	assert.equal(existsSync(join(dir, 'etcd:')), false)
	return said
}

const assertRefused = (said, message) => {
	assert.equal(Object.keys(said).length, 15)
	for (const [name, error] of Object.entries(said)) {
		const { message: text, ...rest } = error
		assert.deepEqual(rest, { name: 'RegistryError', code: 'UNSUPPORTED', path }, name)
		assert.match(text, message, name)
	}
}

test('without its package each call names the package to install', async (t) => {
	const { dir } = folder(t)
	installPackage(join(dir, 'node_modules'))
	assertRefused(await saidIn(t, dir), /npm install argus-registry-etcd/)
})

test('a package without an addon says for which machine it has none', async (t) => {
	const { dir } = folder(t)
	installPackage(join(dir, 'node_modules'))
	installEtcdPackage(join(dir, 'node_modules'), { withAddon: false })
	assertRefused(
		await saidIn(t, dir),
		new RegExp(`no addon for ${process.platform} on ${process.arch}`),
	)
})

test('a package of another version says which one to install', async (t) => {
	const { dir } = folder(t)
	installPackage(join(dir, 'node_modules'))
	const other = installEtcdPackage(join(dir, 'node_modules'), { withAddon: false })
	const addon = 'addon: { borderVersion: () => 9999, version: () => "7.8.9" }'
	writeFileSync(join(other, 'index.js'), `module.exports = { ${addon} }`)
	assertRefused(await saidIn(t, dir), /7\.8\.9 is for another version of argus-registry; install/)
})

test('a program finds its own package where argus-registry can not', {
	skip: skipWithoutEtcd,
}, async (t) => {
	const { dir } = folder(t)
	// As strict package managers install: only the program may import the package.
	installPackage(join(dir, 'store', 'node_modules'))
	installEtcdPackage(join(dir, 'elsewhere'))
	const text = `
		import { createRequire } from 'node:module'
		const load = createRequire(import.meta.url)
		const { configure } = load(${JSON.stringify(join(dir, 'elsewhere', 'argus-registry-etcd'))})
		const { readRegistry } = load(${JSON.stringify(join(dir, 'store', 'node_modules', 'argus-registry'))})
		const path = 'etcd://127.0.0.1:1/argus'
		configure(path, { readWithinMs: 50 })
		console.log((await readRegistry(path).catch(({ code }) => code)))`
	const program = script(t, text, { prelude: `process.chdir(${JSON.stringify(dir)})` })
	assert.equal(await program.line(), 'UNAVAILABLE')
})

test('a call that needs a file or the file of a lock refuses a path of etcd', (t) => {
	const { dir } = folder(t)
	const refused = { name: 'RegistryError', code: 'UNSUPPORTED', path }
	assert.throws(() => new Document(path), refused)
	assert.throws(() => tryLockExclusive(path), refused)
	assert.throws(() => mirrorRegistry(join(dir, 'registry.json'), path), refused)
	assert.equal(existsSync('etcd:'), false)
})
