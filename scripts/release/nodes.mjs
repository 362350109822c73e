// Node for another processor than this machine's, from npm.

import { join } from 'node:path'
import { installOnce } from '../npm-install.mjs'
import { toolsFolder } from './paths.mjs'

const VERSION = '20.20.2'

/** Installs Node for a release target's system and processor, once; returns the program. */
export const installNode = ({ os, cpu }) => {
	const name = `node-${os}-${cpu}`
	const folder = join(toolsFolder, `${name}@${VERSION}`)
	// It is for another processor, which npm refuses unless it is forced.
	installOnce(folder, `${name}@${VERSION}`, { options: ['--force', '--ignore-scripts'] })
	return join(folder, 'node_modules', name, 'bin', 'node')
}
