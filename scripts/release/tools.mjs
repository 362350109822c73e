// Installs what a release needs, from the package registries, into target/: the cross-compiling linker, the
// reader of object files, and the standard library of each Rust target.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { toolsFolder } from './paths.mjs'

const requirements = join(dirname(fileURLToPath(import.meta.url)), 'requirements.txt')
const environment = join(toolsFolder, 'venv')

/** The programs of the Python packages. */
export const pythonPrograms = join(environment, process.platform === 'win32' ? 'Scripts' : 'bin')

/** The interpreter that sees the Python packages. */
export const python = join(pythonPrograms, 'python')

/** Fails with the name of a tool that is missing, and how to get it. */
const need = (tool, args, remedy) => {
	const { status } = spawnSync(tool, args, { stdio: 'ignore' })
	if (status !== 0) throw new Error(`\`${[tool, ...args].join(' ')}\` fails: ${remedy}`)
}

/** Installs the packages of requirements.txt, once for each state of that file. */
export const installPythonTools = () => {
	const wanted = readFileSync(requirements, 'utf8')
	const record = join(environment, 'installed-requirements.txt')
	if (existsSync(record) && readFileSync(record, 'utf8') === wanted) return
	const systemPython = process.platform === 'win32' ? 'python' : 'python3'
	need(
		systemPython,
		['-c', 'import venv, ensurepip'],
		'Python 3.9 or later with venv is needed (on Debian: apt-get install python3-venv)',
	)
	console.log(`Installing ${requirements} into ${environment} ...`)
	rmSync(environment, { recursive: true, force: true })
	mkdirSync(toolsFolder, { recursive: true })
	execFileSync(systemPython, ['-m', 'venv', environment], { stdio: 'inherit' })
	try {
		const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
		execFileSync(python, [...args, '--requirement', requirements], { stdio: 'inherit' })
	} catch (error) {
		throw new Error(`pip could not install ${requirements}: does it reach PyPI?`, { cause: error })
	}
	// Last: an installation that was interrupted is made again.
	writeFileSync(record, wanted)
}

/** Installs the standard library of Rust for a target, if it is missing. */
export const installRustTarget = (target) => {
	const rustup = 'a Rust toolchain from https://rustup.rs is needed'
	need('rustup', ['--version'], rustup)
	const installed = execFileSync('rustup', ['target', 'list', '--installed'], { encoding: 'utf8' })
	if (installed.split('\n').includes(target)) return
	console.log(`Installing the standard library for ${target} ...`)
	execFileSync('rustup', ['target', 'add', target], { stdio: 'inherit' })
}
