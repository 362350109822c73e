// Programs that are one file, and code that is in no file: where the addon is found, and what is said when it
// can't be loaded. createRequire throws over a name that is not absolute, so these could not be started at all.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
	copyFileSync,
	mkdirSync,
	readFileSync,
	renameSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'
import { installed } from '../../scripts/runtime-installs.mjs'
import { folder } from '../support/folder.mjs'
import { addonFile, addonPath, installPackage } from '../support/install.mjs'
import { commandFor } from '../support/script.mjs'
import { canMountTmpfs, skipIf } from '../support/skip.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const bun = process.versions.bun ? process.execPath : installed('bun@1.4')
const isNode = !process.versions.bun && !process.versions.deno
const onlyNode = { skip: skipIf(!isNode, 'a matter of Node') }

const app = `require(${JSON.stringify(join(root, 'index.js'))})
	.updateRegistry(process.env.TEST_REGISTRY, (registry) => ({ ...registry, updatedAt: 7 }))
	.then(() => console.log('updated'))`

/** The application as one file, in a folder of its own. */
const bundled = (at, name = 'bundle.cjs') => {
	const dir = join(at.dir, 'app')
	mkdirSync(dir)
	const file = join(dir, name)
	buildSync({
		stdin: { contents: app, resolveDir: root },
		outfile: file,
		bundle: true,
		platform: 'node',
		format: 'cjs',
		logLevel: 'error',
	})
	return { dir, file, text: readFileSync(file, 'utf8') }
}

/** Runs a program in another folder than its own. */
const run = (at, [command, ...args], { env, ...options } = {}) => {
	const cwd = join(at.dir, 'elsewhere')
	mkdirSync(cwd, { recursive: true })
	return spawnSync(command, args, {
		cwd,
		encoding: 'utf8',
		env: { ...process.env, TEST_REGISTRY: at.path, ...env },
		...options,
	})
}

const assertUpdated = (at, { status, stdout, stderr }) => {
	assert.equal(status, 0, stderr)
	assert.match(stdout, /updated/)
	assert.equal(at.json().updatedAt, 7)
}

/** The text of the error with which a program ended: its first line, and the lines of the places. */
const failureOf = ({ status, stderr }) => {
	assert.notEqual(status, 0)
	assert.doesNotMatch(stderr, /ERR_INVALID_ARG|TypeError/)
	// On Windows each line that Node prints at its end has a carriage return.
	const [, first, rest] =
		/^(?:\w*[Ee]rror: )+(argus-registry has .*)\n((?: {2}.*, from .*\n)+)/m.exec(
			stderr.replaceAll('\r\n', '\n'),
		) ?? []
	assert.ok(first, stderr)
	return { first, places: rest.trimEnd().split('\n') }
}

const readText = (file) => `require('node:fs').readFileSync(${JSON.stringify(file)}, 'utf8')`

/**
 * What `node -e` gets to run a text. A command line of Windows has no room for the text itself: there it is run from its
 * file, as Node runs what it gets.
 */
const evaluated = ({ file, text }) =>
	process.platform === 'win32'
		? `require('node:vm').runInThisContext(${readText(file)}, '[eval]')`
		: text

const evaluations = {
	'node -e': (program) => [[process.execPath, '-e', evaluated(program)], {}],
	'standard input': ({ text }) => [[process.execPath, '-'], { input: text }],
	'a worker’s text': ({ file }) => [
		[
			process.execPath,
			'-e',
			`new (require('node:worker_threads').Worker)(${readText(file)}, { eval: true })`,
		],
		{},
	],
}

for (const [name, evaluate] of Object.entries(evaluations)) {
	test(`${name}: the variable names the addon`, onlyNode, (t) => {
		const at = folder(t)
		const [command, options] = evaluate(bundled(at))
		const env = { NAPI_RS_NATIVE_LIBRARY_PATH: addonPath }
		assertUpdated(at, run(at, command, { ...options, env }))
	})

	test(`${name}: packages are found from the working folder`, onlyNode, (t) => {
		const at = folder(t)
		installPackage(join(at.dir, 'elsewhere', 'node_modules'))
		assertUpdated(at, run(at, ...evaluate(bundled(at))))
	})

	test(`${name}: the error lists where it was looked for`, onlyNode, (t) => {
		const at = folder(t)
		const { first, places } = failureOf(run(at, ...evaluate(bundled(at))))
		assert.match(first, /has no addon for \w+ on \w+; install it .*npm also leaves it out/)
		const beside = join(dirname(process.execPath), addonFile)
		assert.ok(
			places.some((place) => place.includes(beside)),
			places.join('\n'),
		)
	})
}

test(
	'node -e: no addon is loaded from the folder of an argument, nor from the working folder',
	onlyNode,
	(t) => {
		const at = folder(t)
		const program = bundled(at)
		const text = evaluated(program)
		const data = join(at.dir, 'data.json')
		writeFileSync(data, '{}')
		mkdirSync(join(at.dir, 'elsewhere'))
		copyFileSync(addonPath, join(at.dir, addonFile))
		copyFileSync(addonPath, join(at.dir, 'elsewhere', addonFile))
		for (const command of [
			['-e', text, data],
			['--eval', text, data],
			['-p', text, data],
			['--input-type=commonjs', '-e', text, data],
		]) {
			failureOf(run(at, [process.execPath, ...command]))
		}
		failureOf(run(at, [process.execPath, '-', data], { input: program.text }))
	},
)

test('vm: the addon is found beside the program', onlyNode, (t) => {
	const at = folder(t)
	const { dir, text } = bundled(at)
	const program = join(dir, 'program.cjs')
	writeFileSync(join(dir, 'text'), text)
	writeFileSync(
		program,
		`const { readFileSync } = require('node:fs')
		const text = readFileSync(__dirname + '/text', 'utf8')
		require('node:vm').runInThisContext('(function (require, module) {' + text + '})')(require, module)`,
	)
	copyFileSync(addonPath, join(dir, addonFile))
	assertUpdated(at, run(at, [process.execPath, program]))
})

test('the variable may name another package’s addon, or nothing', (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	copyFileSync(addonPath, join(dir, addonFile))
	const other = join(at.dir, 'other.cjs')
	writeFileSync(other, 'module.exports = {}')
	for (const named of [other, join(at.dir, 'missing.node')]) {
		const env = { NAPI_RS_NATIVE_LIBRARY_PATH: named }
		assertUpdated(at, run(at, commandFor(file), { env }))
	}
})

test(
	'an addon in a folder around that of the program is not loaded: any user may have put it there',
	onlyNode,
	(t) => {
		const at = folder(t)
		const { file } = bundled(at)
		copyFileSync(addonPath, join(at.dir, addonFile))
		const { places } = failureOf(run(at, [process.execPath, file]))
		assert.ok(places.some((place) => place.includes(join(dirname(file), addonFile))))
		assert.ok(!places.some((place) => place.includes(join(at.dir, addonFile))))
	},
)

test('--frozen-intrinsics: the package loads, and so does a bundle', onlyNode, (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	copyFileSync(addonPath, join(dir, addonFile))
	assertUpdated(at, run(at, [process.execPath, '--frozen-intrinsics', file]))
	// Not as the program's file, which would be found without knowing one's own.
	const text = `require(${JSON.stringify(file)})`
	assertUpdated(at, run(at, [process.execPath, '--frozen-intrinsics', '-e', text]))
})

test('--frozen-intrinsics: a bundle that is started by a link finds the addon beside its file', {
	skip:
		onlyNode.skip || skipIf(process.platform === 'win32', 'needs the right to make symbolic links'),
}, (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	copyFileSync(addonPath, join(dir, addonFile))
	const linked = join(at.dir, 'linked.cjs')
	symlinkSync(file, linked)
	assertUpdated(at, run(at, [process.execPath, '--frozen-intrinsics', linked]))
})

const permission = process.allowedNodeEnvironmentFlags?.has('--permission')
	? '--permission'
	: '--experimental-permission'

test('the permission model: the error says what to allow', {
	skip: skipIf(
		!isNode || !process.allowedNodeEnvironmentFlags.has(permission),
		'a matter of Node 20 and later',
	),
}, (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	copyFileSync(addonPath, join(dir, addonFile))
	const withFlags = (...flags) => run(at, [process.execPath, permission, ...flags, file])
	const { first } = failureOf(withFlags('--allow-fs-read=*'))
	assert.ok(first.includes(join(dir, addonFile)), first)
	assert.match(first, /addons is disabled|addons? .*disabled/i)
	assert.match(first, /--allow-addons/)
	assertUpdated(at, withFlags('--allow-fs-read=*', '--allow-addons'))
})

test('a file system that forbids execution: the error says so', {
	skip: skipIf(!canMountTmpfs('noexec'), 'no tmpfs may be mounted here'),
}, (t) => {
	const at = folder(t)
	const { file } = bundled(at)
	const script = `mount -t tmpfs -o noexec tmpfs /mnt && cp "$1" "$2" /mnt/ && shift 2 && exec "$@"`
	const command = commandFor('/mnt/bundle.cjs')
	const wrapped = ['unshare', '-rm', 'sh', '-c', script, 'sh', file, addonPath, ...command]
	const { first } = failureOf(run(at, wrapped))
	assert.ok(first.includes(`/mnt/${addonFile}`), first)
	assert.match(first, /noexec/)
})

test('an addon for another C library: the error says so, whatever else was tried', {
	skip: skipIf(process.platform !== 'linux' || !addonFile.includes('-gnu'), 'needs glibc'),
}, (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	const other = Buffer.from(readFileSync(addonPath))
	const needed = other.indexOf('libc.so.6\0')
	other.write('libc.so.9', needed)
	writeFileSync(join(dir, addonFile), other)
	const { first } = failureOf(run(at, commandFor(file)))
	assert.ok(first.includes(join(dir, addonFile)), first)
	assert.match(first, /libc\.so\.9/)
	assert.match(first, /another C library/)
})

/** What musl 1.2 says of addons that were built for glibc. */
const MUSL_SAYS = [
	'Error loading shared library libgcc_s.so.1: No such file or directory (needed by /x.node)',
	'Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /x.node)',
	'Error relocating /x.node: gnu_get_libc_version: symbol not found',
]

for (const said of MUSL_SAYS) {
	test(`an addon for glibc under musl: the error says so: ${said.split(':')[0]}`, (t) => {
		const at = folder(t)
		const { dir, file } = bundled(at)
		const name = `argus-registry-${addonFile.split('.')[1]}`
		mkdirSync(join(dir, 'node_modules', name), { recursive: true })
		writeFileSync(
			join(dir, 'node_modules', name, 'index.js'),
			`throw Object.assign(new Error(${JSON.stringify(said)}), { code: 'ERR_DLOPEN_FAILED' })`,
		)
		const { first } = failureOf(run(at, commandFor(file)))
		assert.ok(first.includes(said), first)
		assert.match(first, /another C library.*install argus-registry-/)
	})
}

test('an addon of which a part is missing: the error says that it is damaged', (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	writeFileSync(join(dir, addonFile), readFileSync(addonPath).subarray(0, 40))
	const { first } = failureOf(run(at, commandFor(file)))
	assert.match(first, /damaged.*install argus-registry-.+ again/)
})

test('an addon that is no library: the error has the system’s reason', (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	writeFileSync(join(dir, addonFile), 'version https://git-lfs.github.com/spec/v1')
	const { first } = failureOf(run(at, commandFor(file)))
	assert.ok(first.includes(join(dir, addonFile)), first)
	assert.match(first, /damaged.*install argus-registry-.+ again/)
})

test('Electron’s layout: the addon is beside the archive', (t) => {
	const at = folder(t)
	const { dir, addonDir } = installPackage(join(at.dir, 'app.asar', 'node_modules'))
	const unpacked = join(at.dir, 'app.asar.unpacked', 'node_modules')
	mkdirSync(unpacked, { recursive: true })
	renameSync(addonDir, join(unpacked, addonDir.split(/[\\/]/).pop()))
	const program = join(at.dir, 'app.asar', 'main.cjs')
	writeFileSync(program, app.replace(JSON.stringify(join(root, 'index.js')), JSON.stringify(dir)))
	assertUpdated(at, run(at, commandFor(program)))
})

test('a single executable of Node, with the addon beside it and with packages around it', {
	skip: skipIf(
		!isNode || process.platform !== 'linux' || Number(process.versions.node.split('.')[0]) < 20,
		'made by Node 20 and later, on Linux',
	),
}, (t) => {
	const at = folder(t)
	const { dir } = bundled(at)
	const config = { main: 'bundle.cjs', output: 'app.blob', disableExperimentalSEAWarning: true }
	writeFileSync(join(dir, 'sea.json'), JSON.stringify(config))
	execFileSync(process.execPath, ['--experimental-sea-config', 'sea.json'], {
		cwd: dir,
		stdio: 'ignore',
	})
	const program = join(dir, 'app')
	copyFileSync(process.execPath, program)
	const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'
	const postject = join(root, 'node_modules', 'postject', 'dist', 'cli.js')
	const args = [postject, program, 'NODE_SEA_BLOB', 'app.blob', '--sentinel-fuse', fuse]
	execFileSync(process.execPath, args, { cwd: dir, stdio: 'ignore' })
	const { first, places } = failureOf(run(at, [program, '/data.json']))
	assert.match(first, /; install it/)
	assert.ok(
		places.some((place) => place.includes(join(dir, addonFile))),
		places.join('\n'),
	)
	installPackage(join(dir, 'node_modules'))
	assertUpdated(at, run(at, [program]))
	renameSync(join(dir, 'node_modules'), join(dir, 'away'))
	copyFileSync(addonPath, join(dir, addonFile))
	const linked = join(at.dir, 'linked')
	symlinkSync(program, linked)
	for (const each of [program, linked]) assertUpdated(at, run(at, [each]))
})

test('a compiled Bun program, with the addon beside it, started from another folder', {
	skip: skipIf(!bun, 'no Bun to compile with: npm run test:runtimes installs it'),
}, (t) => {
	const at = folder(t)
	const { dir, file } = bundled(at)
	const program = join(dir, 'program')
	execFileSync(bun, ['build', '--compile', file, '--outfile', program], {
		cwd: dir,
		stdio: ['ignore', 'ignore', 'inherit'],
	})
	const { places } = failureOf(run(at, [program]))
	assert.ok(
		places.some((place) => place.includes(join(dir, addonFile))),
		places.join('\n'),
	)
	copyFileSync(addonPath, join(dir, addonFile))
	const linked = join(at.dir, 'linked')
	symlinkSync(program, linked)
	for (const each of [program, linked]) assertUpdated(at, run(at, [each]))
})

const buns = [...new Set([bun, installed('bun@1.3'), installed('bun@1.4')])].filter(Boolean)

test('index.js and the addon, copied to a folder, are the whole package for Node and Bun', (t) => {
	const at = folder(t)
	const dir = join(at.dir, 'copied')
	mkdirSync(dir)
	copyFileSync(join(root, 'index.js'), join(dir, 'index.js'))
	copyFileSync(addonPath, join(dir, addonFile))
	writeFileSync(join(dir, 'package.json'), '{"type":"commonjs"}')
	const program = join(dir, 'app.cjs')
	writeFileSync(program, app.replace(JSON.stringify(join(root, 'index.js')), '"./index.js"'))
	for (const [runtime, ...args] of [commandFor(program), ...buns.map((each) => [each, program])]) {
		at.put('{"version":1,"updatedAt":0,"watchers":{}}')
		assertUpdated(at, run(at, [runtime, ...args]))
	}
})

test('index.js and the addon, copied to a folder, compile to a program with the addon beside it', {
	skip: skipIf(!bun, 'no Bun to compile with: npm run test:runtimes installs it'),
}, (t) => {
	for (const [index, runtime] of buns.entries()) {
		const at = folder(t)
		const dir = join(at.dir, 'copied')
		mkdirSync(dir)
		copyFileSync(join(root, 'index.js'), join(dir, 'index.js'))
		copyFileSync(addonPath, join(dir, addonFile))
		const source = join(dir, 'app.cjs')
		writeFileSync(source, app.replace(JSON.stringify(join(root, 'index.js')), '"./index.js"'))
		const program = join(at.dir, `program-${index}`, 'program')
		execFileSync(runtime, ['build', '--compile', source, '--outfile', program], {
			cwd: dir,
			stdio: ['ignore', 'ignore', 'inherit'],
		})
		// Nothing of the folder in which it was compiled is left.
		renameSync(join(dir, addonFile), join(dirname(program), addonFile))
		renameSync(dir, join(at.dir, 'gone'))
		assertUpdated(at, run(at, [program]))
	}
})
