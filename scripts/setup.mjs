// Brings a fresh clone to where everything can run: npm packages, index.js, the addon and the program. Quick
// when there is nothing to do. Uses nothing but Node itself until the npm packages are there.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, buildEtcd, buildProgram } from './build.mjs'
import { bundle } from './bundle.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** npm records what it has installed: the content of the lock file without the package itself. */
const isInstalled = () => {
	const installed = join(root, 'node_modules', '.package-lock.json')
	if (!existsSync(installed)) return false
	const has = JSON.parse(readFileSync(installed, 'utf8')).packages
	const wants = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
	return Object.entries(wants).every(
		([name, { version, optional }]) => name === '' || optional || has[name]?.version === version,
	)
}

const [major] = process.versions.node.split('.')
if (Number(major) < 20) {
	console.error(`Node 20 or later is needed to work on this package; this is ${process.version}`)
	process.exit(1)
}
try {
	if (!isInstalled()) {
		console.log('Installing npm packages ...')
		execFileSync('npm', ['ci'], {
			cwd: root,
			stdio: 'inherit',
			shell: process.platform === 'win32',
		})
	}
	await bundle()
	build()
	buildProgram()
	buildEtcd()
} catch (error) {
	console.error(`Setting up failed: ${error.message}`)
	process.exit(1)
}
