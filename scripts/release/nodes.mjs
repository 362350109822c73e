// Node for another processor than this machine's, from npm.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { toolsFolder } from './paths.mjs'

const VERSION = '20.20.2'

/** Installs Node for a release target's system and processor, once; returns the program. */
export const installNode = ({ os, cpu }) => {
	const name = `node-${os}-${cpu}`
	const folder = join(toolsFolder, `${name}@${VERSION}`)
	if (!existsSync(folder)) {
		const making = `${folder}.${process.pid}`
		mkdirSync(making, { recursive: true })
		try {
			// It is for another processor, which npm refuses unless it is forced.
			const args = ['install', '--force', '--no-save', '--no-package-lock', '--loglevel=error']
			execFileSync('npm', [...args, '--ignore-scripts', '--prefix', making, `${name}@${VERSION}`], {
				cwd: making,
				stdio: ['ignore', 'ignore', 'inherit'],
			})
			// Whole or not at all: what is there is taken for installed.
			renameSync(making, folder)
		} finally {
			rmSync(making, { recursive: true, force: true })
		}
	}
	return join(folder, 'node_modules', name, 'bin', 'node')
}
