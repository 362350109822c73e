// What becomes of a panic of the addon, which is a defect: a RegistryError, and no more. The addon that these
// tests build panics on demand: at a step that the name of the file asks for.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { folder, print } from '../support/folder.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

const hasCargo = spawnSync('cargo', ['--version']).status === 0
const skip = skipIf(!hasCargo, 'needs cargo')

const built = {
	linux: 'libargus_registry.so',
	darwin: 'libargus_registry.dylib',
	win32: 'argus_registry.dll',
}[process.platform]

const dir = mkdtempSync(join(tmpdir(), 'argus-registry-panics-'))
const addon = join(dir, 'addon.node')
after(() => rmSync(dir, { recursive: true, force: true }))

before(
	() => {
		if (skip) return
		const args = ['rustc', '--lib', '--crate-type', 'cdylib', '--features', 'node,panic-test']
		execFileSync('cargo', args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] })
		copyFileSync(join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'debug', built), addon)
	},
	{ timeout: 600_000 },
)

const CALLS = {
	resolve: `
		updateRegistrySync: async () => registry.updateRegistrySync(path, same, options),
		updateRegistry: () => registry.updateRegistry(path, same, options),
		announceWatcher: () => registry.announceWatcher(path, watcher, options),
		inspectLock: () => registry.inspectLock(path),
		load: () => new registry.Document(path).load(),
		lockPath: async () => new registry.Document(path).lockPath(),`,
	read: `
		readRegistry: () => registry.readRegistry(path),
		readRegistrySync: async () => registry.readRegistrySync(path),
		updateRegistrySync: async () => registry.updateRegistrySync(path, same, options),
		updateRegistry: () => registry.updateRegistry(path, same, options),
		again: () => registry.updateRegistry(path, same, options),
		announceWatcher: () => registry.announceWatcher(path, watcher, options),
		pruneStaleWatchers: () => registry.pruneStaleWatchers(path, options),
		watchRegistry: () => registry.watchRegistry(path).next(),`,
	commit: `
		updateRegistrySync: async () => registry.updateRegistrySync(path, change, options),
		updateRegistry: () => registry.updateRegistry(path, change, options),
		again: () => registry.updateRegistry(path, change, options),
		durable: () => registry.updateRegistry(path, change, { ...options, durable: true }),
		announceWatcher: () => registry.announceWatcher(path, watcher, options),
		durableToo: () => registry.announceWatcher(path, watcher, { ...options, durable: true }),
		withRegistryLock: () => registry.withRegistryLock(path, (lock) => lock.write(change({}))),`,
	options: `
		load: () => new registry.Document(path).load(),
		loadSync: async () => new registry.Document(path).loadSync(),
		updateRegistrySync: async () => registry.updateRegistrySync(path, same, options),
		announceWatcher: () => registry.announceWatcher(path, watcher, options),`,
	release: `
		withRegistryLock: () => registry.withRegistryLock(path, () => {}),
		again: () => registry.withRegistryLock(path, () => {}),`,
}

for (const [step, calls] of Object.entries(CALLS)) {
	test(`a panic at the step '${step}' is the failure of its call, and of no other`, {
		skip,
	}, (t) => {
		const at = folder(t)
		const text = print({ version: 1, updatedAt: 0, watchers: {} })
		const path = join(at.dir, `panic-at-${step}.json`)
		const healthy = join(at.dir, 'healthy.json')
		const { outcomes, state } = run(
			`import { writeFileSync } from 'node:fs'
			const path = ${JSON.stringify(path)}
			writeFileSync(path, ${JSON.stringify(text)})
			const same = (value) => value
			const change = () => ({ version: 1, updatedAt: 7, watchers: {} })
			const options = { durable: false }
			const watcher = { id: 'a', host: 'h', port: 1, pid: 1, startedAt: 1, updatedAt: 1 }
			const outcomes = {}
			for (const [name, call] of Object.entries({ ${calls} })) {
				try {
					await call()
				} catch ({ name: type, code, message }) {
					outcomes[name] = { type, code, message }
				}
				outcomes[name] ??= {}
			}
			// The other files' calls go on.
			await registry.updateRegistry(${JSON.stringify(healthy)}, change, { timeoutMs: 0 })
			const state = ${step === 'resolve'} || (await registry.inspectLock(path)).state
			console.log(JSON.stringify({ outcomes, state }))`,
			{ env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: addon } },
		)
		for (const [name, { type, code, message }] of Object.entries(outcomes)) {
			assert.deepEqual([name, type, code], [name, 'RegistryError', 'INTERNAL'])
			assert.match(
				message,
				new RegExp(`asked to panic at ${step} at src.+panic_test\\.rs:\\d+`),
				name,
			)
			assert.match(message, /report it/)
		}
		assert.equal(readFileSync(path, 'utf8'), text)
		assert.equal(state, step === 'resolve' || 'free')
		const left = readdirSync(at.dir).filter((name) => /\.tmp$|\.json\.lock$|corrupt/.test(name))
		assert.deepEqual(left, [])
	})
}

test('every export of the addon catches panics', () => {
	const node = join(root, 'src', 'node')
	const without = readdirSync(node).flatMap((name) => {
		const text = readFileSync(join(node, name), 'utf8')
		const exported = text.matchAll(
			/#\[napi(\([^\]]*\))?\](?:\s*(?:#\[[^\n]*|\/\/[^\n]*)\n)*\s*(?:pub )?fn (\w+)/g,
		)
		return [...exported]
			.filter(([, attributes]) => !attributes?.includes('catch_unwind'))
			.map(([, , fn]) => `${name}: ${fn}`)
	})
	assert.deepEqual(without, [])
})

/** It ended the mirror's thread without a report. */
test('a panic of a mirror is told to its onError, and the mirror goes on', { skip }, (t) => {
	const at = folder(t)
	const { errors, working } = run(
		`import { writeFileSync } from 'node:fs'
		import { setTimeout as delay } from 'node:timers/promises'
		const source = ${JSON.stringify(join(at.dir, 'panic-at-read.json'))}
		const file = ${JSON.stringify(join(at.dir, 'mirror.json'))}
		// A missing file is not read.
		writeFileSync(source, '{}')
		const errors = []
		const onError = ({ name, code, message }) => errors.push({ name, code, message })
		const mirror = registry.mirrorRegistry(source, file, { onError })
		while (errors.length === 0) await delay(5)
		// For more than one further try.
		await delay(2_500)
		await mirror.stop()
		console.log(JSON.stringify({ errors, working: await mirror.working }))`,
		{ env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: addon } },
	)
	assert.equal(working, false)
	assert.equal(errors.length, 1)
	assert.deepEqual([errors[0].name, errors[0].code], ['RegistryError', 'INTERNAL'])
	assert.match(errors[0].message, /asked to panic at read/)
})
