// The package as npm would install it, in another folder.

import {
	copyFileSync,
	cpSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	statSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** The addon that was built for this machine. */
const addon = readdirSync(root).find(
	(name) => name.startsWith(`argus-registry.${process.platform}-`) && name.endsWith('.node'),
)
const platform = addon.split('.')[1]

export const addonFile = addon

/** Installs what `files` in package.json names, and the package of this platform. */
export const installPackage = (nodeModules, { addonIn = nodeModules } = {}) => {
	const to = join(nodeModules, 'argus-registry')
	mkdirSync(to, { recursive: true })
	const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
	for (const pattern of ['package.json', ...files]) {
		// `docs/**/*.md`: all such files in a folder and its subfolders.
		const [file, ending = ''] = pattern.split('/**/*')
		cpSync(join(root, file), join(to, file), {
			recursive: true,
			filter: (from) => statSync(from).isDirectory() || from.endsWith(ending),
		})
	}
	const toAddon = join(addonIn, `argus-registry-${platform}`)
	mkdirSync(toAddon, { recursive: true })
	copyFileSync(join(root, 'npm', platform, 'package.json'), join(toAddon, 'package.json'))
	copyFileSync(join(root, addon), join(toAddon, addon))
	return { dir: to, addonDir: toAddon }
}

/** Another package, of one file. */
export const writePackage = (dir, manifest, text) => {
	mkdirSync(dir, { recursive: true })
	writeFileSync(join(dir, 'package.json'), JSON.stringify(manifest))
	writeFileSync(join(dir, manifest.main ?? 'index.js'), text)
}
