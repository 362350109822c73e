// SQLite and LMDB: installed in this folder and not with the package, whose own installation stays
// small. package.json pins msgpackr-extract, on which lmdb depends. When the lock file was made, the
// newest version was not there for every platform, and `npm ci` fails where the lock file lacks one.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const require = createRequire(import.meta.url)

const npm = (args, env = {}) =>
	execFileSync('npm', args, {
		cwd: here,
		stdio: 'inherit',
		env: { ...process.env, ...env },
		shell: process.platform === 'win32',
	})

const wanted = () => JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')).dependencies

export const installedVersion = (name, folder = here) => {
	const file = join(folder, 'node_modules', name, 'package.json')
	return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}

/** Why an engine can't be loaded. A binary for another Node may crash its process, so it gets its own. */
const failure = (name) => {
	const probes = {
		'better-sqlite3': "new (require('better-sqlite3'))(':memory:')",
		lmdb: "require('lmdb').open({ path: undefined, noSync: true }).close()",
	}
	try {
		const stdio = ['ignore', 'ignore', 'pipe']
		execFileSync(process.execPath, ['-e', probes[name]], { cwd: here, encoding: 'utf8', stdio })
		return undefined
	} catch ({ stderr, message }) {
		const lines = `${stderr ?? message}`.split('\n')
		return lines.find((line) => /^\w*Error/.test(line)) ?? lines[0]
	}
}

/** Newer versions of npm run no install scripts, and not every machine gets prebuilt binaries. */
const buildSqlite = () => {
	const prefix = resolve(dirname(process.execPath), '..')
	const headers = [prefix, '/usr'].find((path) => existsSync(join(path, 'include/node/node.h')))
	const env = headers ? { npm_config_nodedir: headers } : {}
	npm(['rebuild', 'better-sqlite3'], env)
	if (failure('better-sqlite3')) {
		// Newer versions of npm only print that they don't run its build script: run that here.
		const folder = join(here, 'node_modules', 'better-sqlite3')
		const args = ['--prefix', folder, 'exec', '--yes', 'node-gyp', '--', 'rebuild', '--release']
		execFileSync('npm', [...args, '-C', folder], {
			cwd: folder,
			stdio: 'inherit',
			env: { ...process.env, ...env },
		})
	}
}

const attempt = (what, run) => {
	try {
		run()
	} catch (error) {
		console.error(`${what} failed: ${error.message}`)
	}
}

/** The engines that can't be loaded: [{ name, why }]. The benchmark runs without them, and prints it. */
export const installEngines = () => {
	const versions = Object.entries(wanted())
	if (versions.some(([name, version]) => installedVersion(name) !== version)) {
		console.log('Installing SQLite and LMDB for the comparison ...')
		attempt('npm ci', () => npm(['ci']))
	}
	if (installedVersion('better-sqlite3') && failure('better-sqlite3')) {
		console.log('Building SQLite, which takes a minute ...')
		attempt('Building SQLite', buildSqlite)
	}
	return versions
		.map(([name]) => ({ name, why: failure(name) }))
		.filter(({ why }) => why !== undefined)
}

export const sqliteVersion = () => {
	try {
		const Database = require('better-sqlite3')
		return new Database(':memory:').prepare('SELECT sqlite_version()').pluck().get()
	} catch {
		return undefined
	}
}
