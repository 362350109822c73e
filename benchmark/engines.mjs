// SQLite and LMDB: installed here and not with the package, whose own installation stays small.
// package.json pins msgpackr-extract, which lmdb brings: of the newest, not every platform's
// package could be had when the lock file was made, and `npm ci` fails where the lock lacks one.

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

/** In a process of its own: a binary of another Node's may end the one that loads it. */
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

/** Newer npm runs no install scripts by itself, and not every machine gets prebuilt binaries. */
const buildSqlite = () => {
	const prefix = resolve(dirname(process.execPath), '..')
	const headers = [prefix, '/usr'].find((path) => existsSync(join(path, 'include/node/node.h')))
	const env = headers ? { npm_config_nodedir: headers } : {}
	npm(['rebuild', 'better-sqlite3'], env)
	if (failure('better-sqlite3')) {
		// Its own build script, which newer npm has only said that it would not run.
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

/** What can't be had: [{ name, why }]. The benchmark goes on without, and says so. */
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
