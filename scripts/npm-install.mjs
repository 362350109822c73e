// Packages from npm, each at one version in a folder of its own, for scripts that run what is in them.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'

/** Their notes would be about packages that nothing here depends on. */
const OPTIONS = ['--no-save', '--no-package-lock', '--loglevel=error']

/**
 * Installs a package into a folder, once. `options` are further ones of npm; `check` gets the folder in which the package
 * is while it is installed, and throws if the package is not what it should be.
 */
export const installOnce = (folder, spec, { options = [], check = () => {} } = {}) => {
	if (existsSync(folder)) return
	const making = `${folder}.${process.pid}`
	mkdirSync(making, { recursive: true })
	try {
		execFileSync('npm', ['install', ...OPTIONS, ...options, '--prefix', making, spec], {
			cwd: making,
			stdio: ['ignore', 'ignore', 'inherit'],
			// There npm is a batch file.
			shell: process.platform === 'win32',
		})
		check(making)
		// Whole or not at all: what is there is taken for installed.
		renameSync(making, folder)
	} finally {
		rmSync(making, { recursive: true, force: true })
	}
}
