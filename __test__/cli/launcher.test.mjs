// The program as npm installs it: a launcher, and the native program that it starts.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
	chmodSync,
	copyFileSync,
	existsSync,
	readdirSync,
	readFileSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { folder } from '../support/folder.mjs'
import { installPackage } from '../support/install.mjs'
import { commandFor } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const launcher = join(root, 'bin', 'argus-registry.js')

const run = (args, file = launcher) => {
	const [program, ...before] = commandFor(file)
	const { status, signal, stdout, stderr } = spawnSync(program, [...before, ...args], {
		encoding: 'utf8',
	})
	return { ended: signal ?? status, stdout, stderr }
}

/** The launcher with a shell under the registry's lock, and the lines that the shell prints. */
const start = (t, path, script) => {
	const [program, ...before] = commandFor(launcher)
	const child = spawn(program, [...before, 'run', path, '--', 'sh', '-c', script], {
		stdio: ['pipe', 'pipe', 'inherit'],
		// Apart from the terminal that the tests run in, whose own SIGINT is not passed on.
		detached: true,
	})
	t.after(() => child.kill('SIGKILL'))
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
	const ended = once(child, 'exit').then(([code, signal]) => signal ?? code)
	return { child, ended, line: async () => (await lines.next()).value }
}

/** A trap interrupts `wait`; the shell's child ends by itself. */
const traps = (signal) =>
	`trap 'kill -KILL $!; echo caught; exit 5' ${signal}; sleep 1000 & echo ready $PPID; wait`

test('arguments are passed on, and so are output and exit code', (t) => {
	const at = folder(t)
	const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
	assert.deepEqual(run(['--version']), {
		ended: 0,
		stdout: `argus-registry ${version}\n`,
		stderr: '',
	})
	assert.equal(run(['list', '--bogus']).ended, 1)
	at.put('{')
	const corrupt = run(['list', '--registry', at.path])
	assert.equal(corrupt.ended, 2)
	assert.match(corrupt.stderr, /next: /)
	assert.equal(run(['run', at.path, '--', 'sh', '-c', 'exit 9']).ended, 9)
	assert.equal(run(['run', at.path, '--', 'sh', '-c', 'kill -KILL $$']).ended, 137)
	const alone = run(['run', at.path, '--', 'sh', '-c', 'echo "<$ARGUS_REGISTRY_LAUNCHER>"'])
	assert.equal(alone.stdout, '<>\n')
})

for (const signal of ['TERM', 'HUP', 'INT']) {
	test(`SIG${signal} is passed on to the program`, async (t) => {
		const at = folder(t)
		const running = start(t, at.path, traps(signal))
		assert.match(await running.line(), /^ready/)
		process.kill(running.child.pid, `SIG${signal}`)
		assert.equal(await running.line(), 'caught')
		assert.equal(await running.ended, 5)
		assert.equal(run(['run', at.path, '--', 'true']).ended, 0)
	})
}

const isLinux = process.platform === 'linux'

test('a launcher that is killed ends the program, too', {
	skip: skipIf(!isLinux, 'only Linux ends a process with its parent'),
}, async (t) => {
	const at = folder(t)
	const running = start(t, at.path, traps('TERM'))
	const [, pid] = (await running.line()).split(' ')
	assert.ok(existsSync(`/proc/${pid}`))
	process.kill(running.child.pid, 'SIGKILL')
	assert.equal(await running.ended, 'SIGKILL')
	// The program has passed SIGTERM on, and waits for its command.
	assert.equal(await running.line(), 'caught')
	const isGone = () => {
		try {
			return / [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/.*\)/s, ''))
		} catch {
			return true
		}
	}
	while (!isGone()) await new Promise((resolve) => setImmediate(resolve))
	assert.equal(run(['run', at.path, '--', 'true']).ended, 0)
})

test('the program is found in the package of its platform; without it the error names a remedy', (t) => {
	const nodeModules = join(folder(t).dir, 'node_modules')
	const { dir, addonDir } = installPackage(nodeModules)
	// Deno takes a file for CommonJS only if it is required from its own folder.
	const copy = join(nodeModules, 'start.mjs')
	const file = JSON.stringify(join(dir, 'bin', 'argus-registry.js'))
	writeFileSync(
		copy,
		`import { createRequire } from 'node:module'\ncreateRequire(${file})('./argus-registry.js')`,
	)
	const missing = run(['--version'], copy)
	assert.equal(missing.ended, 2)
	assert.match(missing.stderr, /no program for .*\n {2}next: .*npm run build/)
	const program = readdirSync(root).find((name) => /^argus-registry\.[^.]+(\.exe)?$/.test(name))
	const { files } = JSON.parse(readFileSync(join(addonDir, 'package.json'), 'utf8'))
	assert.ok(files.includes(program))
	copyFileSync(join(root, program), join(addonDir, program))
	assert.equal(run(['--version'], copy).ended, 0)
	chmodSync(join(addonDir, program), 0o644)
	const { ended, stderr } = run(['--version'], copy)
	assert.equal(ended, 2)
	assert.match(stderr, /chmod \+x/)
	// A program for another C library is there, too, and can't run: the next one is tried.
	if (!isLinux) return
	chmodSync(join(addonDir, program), 0o755)
	const other = join(dir, program.replace(/-(gnu|musl)$/, '-gnu'))
	writeFileSync(other, '#!/nowhere/interpreter\n', { mode: 0o755 })
	assert.equal(run(['--version'], copy).ended, 0)
})
