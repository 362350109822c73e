// Where the default registry is, if the environment says nothing of it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { asCommand, importPackage, isRoot, NOBODY, run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const HOME = process.platform === 'win32' ? 'USERPROFILE' : 'HOME'
const names = ['ARGUS_REGISTRY_PATH', 'ARGUS_HOME', HOME]

/** This process's environment, with these variables instead of its own. */
const environment = (variables) => {
	const rest = Object.entries(process.env).filter(([name]) => !names.includes(name))
	return { ...Object.fromEntries(rest), ...variables }
}

const inHome = (home) => join(home, '.argus', 'registry.json')

const asked = `
	let path, error
	try { path = registry.registryPath() } catch ({ name, code, message }) { error = { name, code, message } }
	console.log(JSON.stringify({ path, error, home: homedir() }))`

const ask = (variables, prepare = '') =>
	run(`import { homedir } from 'node:os'\n${prepare}\n${asked}`, { env: environment(variables) })

const program = (variables) => {
	const { status, stdout, stderr } = spawnSync(
		process.execPath,
		[join(root, 'bin', 'argus-registry.js'), 'list', '--json'],
		{ env: environment(variables), encoding: 'utf8' },
	)
	return { status, path: stdout && JSON.parse(stdout).path, stderr }
}

test('a home that is unset or empty is that of os.homedir()', () => {
	for (const variables of [{}, { [HOME]: '' }]) {
		const { path, home } = ask(variables)
		// Node takes an empty variable at its word.
		if (home !== '') assert.equal(path, inHome(home))
		assert.equal(path, inHome(ask({}).home))
	}
	assert.equal(ask({ [HOME]: homedir() }).path, inHome(homedir()))
})

test('the program finds the same home', () => {
	const { path } = ask({})
	for (const variables of [{}, { [HOME]: '' }]) {
		const found = program(variables)
		assert.deepEqual([found.status, found.path], [0, path], found.stderr)
	}
})

test('the home of the effective user counts', { skip: skipIf(!isRoot, 'needs root') }, () => {
	const { path, home } = ask({}, `process.seteuid(${NOBODY})`)
	assert.equal(path, inHome(home))
	assert.notEqual(path, ask({}).path)
})

test('a relative home is refused, in both languages', () => {
	for (const home of ['x', '.', '../x', '~']) {
		const { path, error } = ask({ [HOME]: home })
		assert.equal(path, undefined)
		assert.deepEqual([error.name, error.code], ['RegistryError', 'INVALID_VALUE'])
		assert.match(error.message, new RegExp(`${HOME} is not an absolute path`))
		const refused = program({ [HOME]: home })
		assert.equal(refused.status, 2)
		assert.match(refused.stderr, new RegExp(`${HOME} is not an absolute path`))
	}
	assert.equal(ask({ ARGUS_HOME: 'x', [HOME]: 'y' }).path, join('x', 'registry.json'))
})

const isWindows = process.platform === 'win32'

/** On Windows a path without a drive is not absolute. */
const [OF_WORKER, OF_PROCESS] = isWindows
	? ['C:\\of\\worker', 'C:\\of\\process']
	: ['/of/worker', '/of/process']

test("a worker's own environment counts", () => {
	const { command, remove } = asCommand(`${importPackage}
		import { Worker } from 'node:worker_threads'
		const code = ${JSON.stringify(`
			const { parentPort } = require('node:worker_threads')
			const registry = require(${JSON.stringify(join(root, 'index.js'))})
			try { parentPort.postMessage(registry.registryPath()) } catch ({ code }) { parentPort.postMessage(code) }
		`)}
		const of = (env) => new Promise((resolve) => new Worker(code, { eval: true, env }).once('message', resolve))
		console.log(JSON.stringify([await of({ ${HOME}: ${JSON.stringify(OF_WORKER)} }), await of({}), await of({ ${HOME}: 'x' })]))`)
	const [file, ...args] = command
	const { stdout, stderr } = spawnSync(file, args, {
		env: environment({ [HOME]: OF_PROCESS }),
		encoding: 'utf8',
	})
	remove()
	assert.deepEqual(
		JSON.parse(stdout || '[]'),
		// The system's own home of the user is a variable of the process on Windows, as for os.homedir().
		[inHome(OF_WORKER), isWindows ? inHome(OF_PROCESS) : ask({}).path, 'INVALID_VALUE'],
		stderr,
	)
})
