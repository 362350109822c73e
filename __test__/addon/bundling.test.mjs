// An application that uses the package through a library, bundled into one file, and moved to
// another folder than that in which the bundle was made.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildSync } from 'esbuild'
import { installed } from '../../scripts/runtime-installs.mjs'
import { folder } from '../support/folder.mjs'
import { addonFile, installPackage, writePackage } from '../support/install.mjs'
import { commandFor } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

const bun = process.versions.bun ? process.execPath : installed('bun@1.4')

const library = `const { updateRegistry } = require('argus-registry')
exports.bump = (path) => updateRegistry(path, (registry) => ({ ...registry, updatedAt: 7 }))`

const app = `import { readFileSync } from 'node:fs'
import { bump } from 'watcher-library'
bump(process.argv[2]).then((registry) => {
	const maps = process.platform === 'linux' ? readFileSync('/proc/self/maps', 'utf8') : ''
	const addons = [...new Set(maps.match(/\\/.*argus-registry.*\\.node$/gm))]
	console.log(JSON.stringify({ registry, addons }))
})`

const esbuild = (dir, format, outfile) => {
	buildSync({
		entryPoints: [join(dir, 'app.js')],
		outfile: join(dir, outfile),
		bundle: true,
		platform: 'node',
		format,
		logLevel: 'error',
		// What esbuild's own documentation has for CommonJS in an ES module.
		...(format === 'esm' && {
			banner: {
				js: `import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)`,
			},
		}),
	})
	return outfile
}

const bundlers = {
	'esbuild, CommonJS': { bundle: (dir) => esbuild(dir, 'cjs', 'dist/app.cjs') },
	'esbuild, ES module': { bundle: (dir) => esbuild(dir, 'esm', 'dist/app.js') },
	'bun build': {
		skip: skipIf(!bun, 'no Bun to bundle with: npm run test:runtimes installs it'),
		bundle: (dir) => {
			const args = ['build', 'app.js', '--target', 'node', '--outfile', 'dist/app.js']
			execFileSync(bun, args, { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] })
			return 'dist/app.js'
		},
	},
}

/** Makes the application, bundles it, and moves it with only the files that it runs with. */
const moved = (at, bundle, { addonIn, prepare } = {}) => {
	const built = join(at.dir, 'built')
	const nodeModules = join(built, 'node_modules')
	const { dir, addonDir } = installPackage(nodeModules, {
		addonIn: addonIn && join(nodeModules, addonIn),
	})
	writePackage(
		join(nodeModules, 'watcher-library'),
		{ name: 'watcher-library', main: 'index.js' },
		library,
	)
	writePackage(built, { name: 'app', type: 'module', main: 'app.js' }, app)
	prepare?.({ dir, addonDir })
	const file = bundle(built)
	rmSync(join(nodeModules, 'watcher-library'), { recursive: true })
	rmSync(join(built, 'app.js'))
	const to = join(at.dir, 'moved')
	renameSync(built, to)
	return { dir: to, file: join(to, file) }
}

const run = (at, file) => {
	const elsewhere = join(at.dir, 'elsewhere')
	mkdirSync(elsewhere, { recursive: true })
	const [command, ...args] = commandFor(file)
	return spawnSync(command, [...args, at.path], { cwd: elsewhere, encoding: 'utf8' })
}

for (const [name, { skip = false, bundle }] of Object.entries(bundlers)) {
	for (const [where, addonIn] of [
		['beside the package', undefined],
		['where only the package sees it', 'argus-registry/node_modules'],
	]) {
		test(`${name}: a bundle finds the addon ${where}`, { skip }, (t) => {
			const at = folder(t)
			const { dir, file } = moved(at, bundle, { addonIn })
			const { status, stdout, stderr } = run(at, file)
			assert.equal(status, 0, stderr)
			const { registry, addons } = JSON.parse(stdout)
			assert.equal(registry.updatedAt, 7)
			assert.equal(at.json().updatedAt, 7)
			if (process.platform === 'linux') {
				assert.equal(addons.length, 1)
				assert.ok(addons[0].startsWith(dir), addons[0])
			}
		})
	}

	test(`${name}: without an addon the error says where it was looked for`, { skip }, (t) => {
		const at = folder(t)
		const { dir, file } = moved(at, bundle, {
			prepare: ({ addonDir }) => rmSync(addonDir, { recursive: true }),
		})
		const { status, stderr } = run(at, file)
		assert.notEqual(status, 0)
		assert.match(stderr, /argus-registry has no addon for/)
		assert.ok(stderr.includes(join(dir, 'node_modules', 'argus-registry', addonFile)), stderr)
	})

	test(`${name}: the addon of another version is taken, and of another border refused`, {
		skip,
	}, (t) => {
		const at = folder(t)
		const madeWith = (pattern, changed) => {
			rmSync(join(at.dir, 'moved'), { recursive: true, force: true })
			return moved(at, bundle, {
				prepare: ({ dir }) => {
					const file = join(dir, 'index.js')
					const text = readFileSync(file, 'utf8')
					assert.match(text, pattern)
					writeFileSync(file, text.replace(pattern, changed))
				},
			}).file
		}
		const taken = run(at, madeWith(/version: ?"[^"]+"/, 'version: "99.0.0"'))
		assert.equal(taken.status, 0, taken.stderr)
		const { status, stderr } = run(at, madeWith(/BORDER_VERSION: ?\d+/, 'BORDER_VERSION: 99'))
		assert.notEqual(status, 0)
		assert.match(stderr, /it is of argus-registry .*, for border version \d+; this is .*, for 99/)
	})
}

test('a bundle with the addon beside it needs no packages', (t) => {
	const at = folder(t)
	const { dir, file } = moved(at, bundlers['esbuild, CommonJS'].bundle, {
		prepare: ({ addonDir }) => {
			mkdirSync(join(at.dir, 'built', 'dist'))
			renameSync(join(addonDir, addonFile), join(at.dir, 'built', 'dist', addonFile))
		},
	})
	rmSync(join(dir, 'node_modules'), { recursive: true })
	const { status, stderr } = run(at, file)
	assert.equal(status, 0, stderr)
	assert.equal(at.json().updatedAt, 7)
})

/**
 * How package managers lay out a library that uses the package: where it is, and where its packages
 * are.
 */
const layouts = {
	'in the library’s own folder': (modules) => {
		const library = join(modules, 'watcher-library')
		return { library, packages: join(library, 'node_modules') }
	},
	'in a store': (modules) => {
		const inStore = (name) => join(modules, '.bun', `${name}@0.1.0`, 'node_modules')
		const library = join(inStore('watcher-library'), 'watcher-library')
		mkdirSync(inStore('watcher-library'), { recursive: true })
		symlinkSync(library, join(modules, 'watcher-library'), 'junction')
		for (const owner of ['watcher-library', 'argus-registry']) {
			mkdirSync(inStore(owner), { recursive: true })
		}
		const stored = join(inStore('argus-registry'), 'argus-registry')
		symlinkSync(stored, join(inStore('watcher-library'), 'argus-registry'), 'junction')
		const addonPackage = `argus-registry-${addonFile.split('.')[1]}`
		return {
			library,
			packages: inStore('argus-registry'),
			addonIn: inStore(addonPackage),
		}
	},
}

for (const [name, { skip = false, bundle }] of Object.entries(bundlers)) {
	for (const [where, layOut] of Object.entries(layouts)) {
		test(`${name}: a bundle finds the addon of a library’s package ${where}`, { skip }, (t) => {
			const at = folder(t)
			const dir = join(at.dir, 'app')
			mkdirSync(join(dir, 'node_modules'), { recursive: true })
			const { library: place, packages, addonIn } = layOut(join(dir, 'node_modules'))
			installPackage(packages, { addonIn })
			writePackage(place, { name: 'watcher-library', main: 'index.js' }, library)
			writePackage(dir, { name: 'app', type: 'module', main: 'app.js' }, app)
			const { status, stderr } = run(at, join(dir, bundle(dir)))
			assert.equal(status, 0, stderr)
			assert.equal(at.json().updatedAt, 7)
		})
	}
}
