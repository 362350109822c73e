// docs/how-to/adopting-in-argus.md: programs on the guide's modules: watchers that start together, and how
// they and `list` fail.

import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, cpSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { buildSync } from 'esbuild'
import { installed } from '../../scripts/runtime-installs.mjs'
import { cleanUp, killed } from '../support/cleanup.mjs'
import { folder } from '../support/folder.mjs'
import { build, link } from '../support/guide.mjs'
import { addonFile, installPackage } from '../support/install.mjs'
import { commandFor } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

/** How often 8 watchers start together; 10 with ARGUS_START_ROUNDS=10. */
const ROUNDS = Number(process.env.ARGUS_START_ROUNDS ?? 2)

const argus = build('without-reservations')
after(argus.remove)

const envFor = (path) => ({ ...process.env, ARGUS_REGISTRY_PATH: path })

/** A process of the program, and the lines that it prints. */
const start = (t, path, ...args) => {
	const [file, ...before] = commandFor(join(argus.dir, 'packages', 'argus', 'src', 'bin.js'))
	const child = spawn(file, [...before, ...args], {
		env: envFor(path),
		stdio: ['ignore', 'pipe', 'pipe'],
	})
	cleanUp(t, () => killed(child))
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
	let stderr = ''
	child.stderr.on('data', (data) => {
		stderr += data
	})
	const ended = once(child, 'close').then(([code, signal]) => signal ?? code)
	return {
		child,
		ended,
		line: async () => {
			const { value, done } = await lines.next()
			assert.ok(!done, `it ended: ${stderr}`)
			return value
		},
		stderr: () => stderr,
	}
}

test(`8 of 8 watchers start under one id beside looping lists (${ROUNDS} rounds)`, {
	skip: skipIf(process.platform === 'win32', 'on Windows a signal ends a process at once'),
}, async (t) => {
	for (let round = 1; round <= ROUNDS; round += 1) {
		const at = folder(t)
		const list = start(t, at.path, 'list-loop')
		assert.equal(await list.line(), 'looping')
		const watchers = Array.from({ length: 8 }, () => start(t, at.path, 'watcher-start', 'app'))
		const records = await Promise.all(watchers.map(async ({ line }) => JSON.parse(await line())))
		const expected = ['app', ...[2, 3, 4, 5, 6, 7, 8].map((suffix) => `app-${suffix}`)]
		assert.deepEqual(records.map(({ id }) => id).sort(), expected, `round ${round}`)
		// What the record says is what is entered, and what answers on the port.
		for (const { id, pid, port, startedAt } of records) {
			const entry = at.json().watchers[id]
			assert.deepEqual([entry?.pid, entry?.port, entry?.startedAt], [pid, port, startedAt])
			const status = await (await fetch(`http://127.0.0.1:${port}/`)).json()
			assert.equal(status.source.watcherId, id)
		}
		for (const { child, ended } of watchers) {
			child.kill('SIGTERM')
			assert.equal(await ended, 0)
		}
		assert.deepEqual(at.ids(), [])
		list.child.kill('SIGKILL')
		await list.ended
		assert.equal(list.stderr(), '')
	}
})

const NEWER = '{"version":2,"sessions":[]}'

test('a watcher that can’t be announced closes its server and its source, and ends with code 1', async (t) => {
	const at = folder(t)
	at.put(NEWER)
	const watcher = start(t, at.path, 'watcher-start', 'app')
	// Its server or its source would keep the process alive.
	assert.equal(await watcher.ended, 1)
	assert.match(watcher.stderr(), /^Failed to start watcher: .* schema version 2.*\n$/)
	assert.equal(at.text(), NEWER)
})

test('a list says in one line that the registry is of a newer schema', async (t) => {
	const at = folder(t)
	at.put(NEWER)
	for (const file of ['argus/src/bin.js', 'argus/src/cli/runCli.js']) {
		const isWith = file.includes('cli')
		const other = isWith ? build('with-reservations') : argus
		if (isWith) cleanUp(t, other.remove)
		const [program, ...before] = commandFor(join(other.dir, 'packages', file))
		const { status, stdout, stderr } = spawnSync(program, [...before, 'list'], {
			env: envFor(at.path),
			encoding: 'utf8',
		})
		const lines = stderr.trimEnd().split('\n')
		assert.deepEqual([status, stdout], [1, ''])
		assert.match(lines.at(-1), /^UNSUPPORTED_VERSION: .*schema version 2/)
		// The program without reservations warns, too, when it reads.
		assert.equal(lines.length, isWith ? 1 : 2, stderr)
	}
})

const bun = installed('bun@1.4')

/** How argus may be one file; undefined where the bundler is not there. */
const bundlers = {
	'module by module': (core) => core,
	'bundled by esbuild': (core, dir) => {
		const outfile = join(dir, 'argus.mjs')
		const js =
			"import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"
		const options = { bundle: true, platform: 'node', format: 'esm', banner: { js } }
		buildSync({ entryPoints: [core], outfile, ...options, logLevel: 'error' })
		return outfile
	},
	'bundled by Bun': bun
		? (core, dir) => {
				const outfile = join(dir, 'argus.js')
				const args = ['build', core, '--target', 'node', '--outfile', outfile]
				execFileSync(bun, args, { stdio: ['ignore', 'ignore', 'inherit'] })
				writeFileSync(join(dir, 'package.json'), '{"type":"module"}')
				return outfile
			}
		: undefined,
}

for (const [how, bundle] of Object.entries(bundlers)) {
	test(`argus (${how}) starts without an addon, and fails where it first uses the registry`, {
		skip: skipIf(!bundle, 'no Bun to bundle with: npm run test:runtimes installs it'),
	}, (t) => {
		const at = folder(t)
		const copy = join(at.dir, 'argus')
		cpSync(argus.dir, copy, { recursive: true, filter: (path) => !path.includes('node_modules') })
		const { dir, addonDir } = installPackage(join(at.dir, 'installed'))
		link(copy, dir)
		const out = join(at.dir, 'out')
		mkdirSync(out)
		const core = bundle(join(copy, 'packages', 'argus-core', 'src', 'index.js'), out)
		const script = join(at.dir, 'start.mjs')
		const text = `
			import * as core from ${JSON.stringify(core)}
			await new Promise((resolve) => setTimeout(resolve, 50))
			console.log(core.listWatchers(core.createEmptyRegistry()).length)
			const first = await core.readRegistry().catch((error) => error)
			const second = await core.updateRegistry((registry) => registry).catch((error) => error)
			console.log(JSON.stringify([first.message, first === second]))`
		writeFileSync(script, text)
		const run = () => {
			const [program, ...before] = commandFor(script)
			const result = spawnSync(program, before, { env: envFor(at.path), encoding: 'utf8' })
			assert.equal(result.status, 0, result.stderr)
			const [count, outcome] = result.stdout.trim().split('\n')
			assert.equal(count, '0')
			return JSON.parse(outcome)
		}
		renameSync(addonDir, join(at.dir, 'away'))
		const [message, isOne] = run()
		assert.match(message, /^argus-registry has no addon for .*install it without --omit=optional/)
		assert.equal(isOne, true)
		// The same files, with the addon beside the bundle or the package.
		const [beside] = how === 'module by module' ? [dir] : [out]
		copyFileSync(join(at.dir, 'away', addonFile), join(beside, addonFile))
		assert.deepEqual(run(), [null, false])
	})
}
