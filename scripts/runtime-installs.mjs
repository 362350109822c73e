// The runtimes that run the tests: each at one version, from npm, in a folder of its own.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installOnce } from './npm-install.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const isWindows = process.platform === 'win32'
const exe = isWindows ? '.exe' : ''

const nodePackage = `node-${isWindows ? 'win' : process.platform}-${process.arch}`

const make = (kind, version) => {
	const name = kind === 'node' ? nodePackage : kind
	const label = version.split('.').slice(0, kind === 'bun' ? 2 : 1)
	// By platform: a Windows program that Wine runs in this tree would take a Bun for Linux for its own.
	const folder = `${kind}-${process.platform}-${process.arch}@${version}`
	const dir = join(root, 'target', 'runtimes', folder)
	const binaries = {
		node: join(dir, 'node_modules', name, 'bin', `node${exe}`),
		bun: join(dir, 'node_modules', 'bun', 'bin', 'bun.exe'),
		deno: join(dir, 'node_modules', 'deno', `deno${exe}`),
	}
	return { label: `${kind}@${label.join('.')}`, kind, name, version, dir, binary: binaries[kind] }
}

export const runtimes = [
	make('node', '18.20.8'),
	make('node', '20.20.2'),
	make('node', '22.23.3'),
	make('node', '24.21.0'),
	make('node', '26.10.0'),
	make('bun', '1.3.14'),
	make('bun', '1.4.5'),
	make('deno', '2.9.6'),
]

const says = (binary) => execFileSync(binary, ['--version'], { encoding: 'utf8' })

/** Installs a runtime, once. Throws if it can't be installed, or is of another version. */
export const install = ({ name, version, dir, binary }) => {
	const check = (making) => {
		const said = says(binary.replace(dir, making))
		if (!said.includes(version)) throw new Error(`it says that it is ${said.trim()}`)
	}
	installOnce(dir, `${name}@${version}`, { check })
}

/** The program of a runtime that has been installed; undefined otherwise. */
export const installed = (label) => {
	const { binary } = runtimes.find((runtime) => runtime.label === label)
	return existsSync(binary) ? binary : undefined
}

// As a program it installs the runtimes that its arguments name.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
	for (const label of process.argv.slice(2)) install(runtimes.find((each) => each.label === label))
}
