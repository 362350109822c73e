// The program as npm installs it: a launcher, and the native program that it starts.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { cleanUp, killed } from '../support/cleanup.mjs'
import { folder } from '../support/folder.mjs'
import { installPackage, installProgram } from '../support/install.mjs'
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
	cleanUp(t, () => killed(child))
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
	const ended = once(child, 'exit').then(([code, signal]) => signal ?? code)
	return { child, ended, line: async () => (await lines.next()).value }
}

/** A trap interrupts `wait`; the shell's child ends by itself. */
const traps = (signal) =>
	`trap 'kill -KILL $!; echo caught; exit 5' ${signal}; sleep 1000 & echo ready $PPID; wait`

/** A command that runs a module's text. */
const commandOf = (at, text) => {
	const file = join(at.dir, 'command.mjs')
	writeFileSync(file, text)
	return commandFor(file)
}

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
	const runs = (text) => run(['run', at.path, '--', ...commandOf(at, text)])
	assert.equal(runs('process.exit(9)').ended, 9)
	const alone = runs(`console.log('<' + (process.env.ARGUS_REGISTRY_LAUNCHER ?? '') + '>')`)
	assert.equal(alone.stdout, '<>\n')
})

const skipWithoutSignals = skipIf(
	process.platform === 'win32',
	'on Windows a signal ends a process at once',
)

test('the exit code for a command that SIGKILL ends is 137', { skip: skipWithoutSignals }, (t) => {
	assert.equal(run(['run', folder(t).path, '--', 'sh', '-c', 'kill -KILL $$']).ended, 137)
})

for (const signal of ['TERM', 'HUP', 'INT']) {
	test(`SIG${signal} is passed on to the program`, { skip: skipWithoutSignals }, async (t) => {
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

/** A file that runs a launcher: Deno takes a file for CommonJS only if it is required from its own folder. */
const startOf = (at, file) => {
	const start = join(at.dir, 'start.mjs')
	const text = `import { createRequire } from 'node:module'
		process.argv[1] = ${JSON.stringify(file)}
		createRequire(import.meta.url)(${JSON.stringify(file)})`
	writeFileSync(start, text)
	return start
}

test('the package that is imported has no program; the launcher’s error says what to install', (t) => {
	const at = folder(t)
	const { dir, addonDir } = installPackage(join(at.dir, 'node_modules'))
	const { files, main } = JSON.parse(readFileSync(join(addonDir, 'package.json'), 'utf8'))
	assert.deepEqual(files, [main])
	const missing = run(['--version'], startOf(at, join(dir, 'bin', 'argus-registry.js')))
	assert.equal(missing.ended, 2)
	assert.match(missing.stderr, /package of its own, argus-registry-cli, and there is none for /)
	assert.match(missing.stderr, /\n {2}next: npm install argus-registry-cli.* npm run build\n$/)
})

const places = {
	'beside it': (modules) => modules,
	'inside of it': (modules) => join(modules, 'argus-registry-cli', 'node_modules'),
}
for (const [where, programIn] of Object.entries(places)) {
	test(`with the package of the program and its platform’s ${where}, both commands start it`, (t) => {
		const at = folder(t)
		const modules = join(at.dir, 'node_modules')
		const { dir } = installPackage(modules)
		const cli = installProgram(modules, { programIn: programIn(modules) })
		const { bin } = JSON.parse(readFileSync(join(cli.dir, 'package.json'), 'utf8'))
		const commands = [
			join(dir, 'bin', 'argus-registry.js'),
			join(cli.dir, bin['argus-registry-cli']),
		]
		for (const command of commands) {
			const { ended, stdout, stderr } = run(['--version'], startOf(at, command))
			assert.equal(ended, 0, stderr)
			assert.match(stdout, /^argus-registry \d/)
		}
	})
}

test('a store that shows the program’s packages only to argus-registry-cli', (t) => {
	const at = folder(t)
	const store = join(at.dir, 'store')
	const { dir } = installPackage(join(store, 'argus-registry', 'node_modules'))
	const cli = installProgram(join(store, 'cli', 'node_modules'))
	symlinkSync(dir, join(store, 'cli', 'node_modules', 'argus-registry'), 'junction')
	mkdirSync(join(at.dir, 'node_modules'))
	symlinkSync(cli.dir, join(at.dir, 'node_modules', 'argus-registry-cli'), 'junction')
	const command = join(at.dir, 'node_modules', 'argus-registry-cli', 'argus-registry-cli.js')
	const { ended, stderr } = run(['--version'], startOf(at, command))
	assert.equal(ended, 0, stderr)
})

test('a program that can’t be started: the error names a remedy, and the next one is tried', {
	skip: skipIf(process.platform === 'win32', 'Windows has no modes'),
}, (t) => {
	const at = folder(t)
	const modules = join(at.dir, 'node_modules')
	const { dir } = installPackage(modules)
	const { program, name } = installProgram(modules)
	const start = startOf(at, join(dir, 'bin', 'argus-registry.js'))
	chmodSync(program, 0o644)
	const { ended, stderr } = run(['--version'], start)
	assert.equal(ended, 2)
	assert.match(stderr, /chmod \+x/)
	// A program for another C library is there, too, and can't run: the next one is tried.
	if (!isLinux) return
	chmodSync(program, 0o755)
	const other = join(dir, name.replace(/-(gnu|musl)$/, '-gnu'))
	writeFileSync(other, '#!/nowhere/interpreter\n', { mode: 0o755 })
	assert.equal(run(['--version'], start).ended, 0)
})
