// The package as npm would install it, in another folder.

import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** The addon that was built for this machine. */
const addon = readdirSync(root).find(
	(name) => name.startsWith(`argus-registry.${process.platform}-`) && name.endsWith('.node'),
)
const platform = addon.split('.')[1]

export const addonFile = addon

/**
 * The addon that the package here loads. A test that requires this file gets the object that the package
 * calls, and can note or replace its functions.
 */
export const addonPath = join(root, addon)

/** Installs what `files` in package.json names, less the pages, and the package of this platform. */
export const installPackage = (nodeModules, { addonIn = nodeModules } = {}) => {
	const to = join(nodeModules, 'argus-registry')
	mkdirSync(to, { recursive: true })
	const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
	const isPage = (file) => file.startsWith('docs/') || file.endsWith('.md')
	for (const file of ['package.json', ...files.filter((each) => !isPage(each))]) {
		cpSync(join(root, file), join(to, file), { recursive: true })
	}
	const toAddon = join(addonIn, `argus-registry-${platform}`)
	mkdirSync(toAddon, { recursive: true })
	copyFileSync(join(root, 'npm', platform, 'package.json'), join(toAddon, 'package.json'))
	copyFileSync(join(root, addon), join(toAddon, addon))
	return { dir: to, addonDir: toAddon }
}

/** The addon of the store in etcd that was built for this machine, if one was. */
export const etcdAddonFile = readdirSync(join(root, 'etcd', 'npm')).find((name) =>
	name.endsWith(`.${platform}.node`),
)

/** Installs the package of the store in etcd, with its addon beside it or without. */
export const installEtcdPackage = (nodeModules, { withAddon = true } = {}) => {
	const [from, to] = [join(root, 'etcd', 'npm'), join(nodeModules, 'argus-registry-etcd')]
	mkdirSync(to, { recursive: true })
	const { files } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'))
	for (const file of ['package.json', ...files, ...(withAddon ? [etcdAddonFile] : [])]) {
		copyFileSync(join(from, file), join(to, file))
	}
	return to
}

/** The program that was built for this machine. */
const program = `argus-registry.${platform}${process.platform === 'win32' ? '.exe' : ''}`

/** Installs the package of the program, and in `programIn` that of this platform, with or without its program. */
export const installProgram = (nodeModules, { programIn = nodeModules, isBuilt = true } = {}) => {
	const dir = join(nodeModules, 'argus-registry-cli')
	const manifest = (from) => JSON.parse(readFileSync(join(root, from, 'package.json'), 'utf8'))
	const install = (from, to, files) => {
		mkdirSync(to, { recursive: true })
		for (const file of ['package.json', ...files]) {
			copyFileSync(join(root, from, file), join(to, file))
		}
	}
	install('npm-cli', dir, manifest('npm-cli').files)
	const programDir = join(programIn, `argus-registry-cli-${platform}`)
	const from = join('npm-cli', platform)
	install(from, programDir, [])
	// `files` says what npm packs; the program is where the build puts it.
	const [file] = manifest(from).files
	if (isBuilt) copyFileSync(join(root, file), join(programDir, file))
	return { dir, program: join(programDir, file), name: program }
}

/** Another package, of one file. */
export const writePackage = (dir, manifest, text) => {
	mkdirSync(dir, { recursive: true })
	writeFileSync(join(dir, 'package.json'), JSON.stringify(manifest))
	writeFileSync(join(dir, manifest.main ?? 'index.js'), text)
}
