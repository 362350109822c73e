// Builds the addon and the program for this machine (or for the Rust target given as argument) and
// puts them where lib/addon/load.js and bin/argus-registry.js look for them. Cargo decides what there is
// to do: nothing, most of the time.

import { execFileSync } from 'node:child_process'
import { copyFileSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** The npm name of each Rust target that the package is made for. */
export const targets = {
	'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
	'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
	'x86_64-unknown-linux-musl': 'linux-x64-musl',
	'aarch64-unknown-linux-musl': 'linux-arm64-musl',
	'x86_64-apple-darwin': 'darwin-x64',
	'aarch64-apple-darwin': 'darwin-arm64',
	'x86_64-pc-windows-msvc': 'win32-x64-msvc',
	'aarch64-pc-windows-msvc': 'win32-arm64-msvc',
}

const hostTarget = () => {
	try {
		return /^host: (.+)$/m.exec(execFileSync('rustc', ['-vV'], { encoding: 'utf8' }))[1]
	} catch (error) {
		throw new Error(
			'no Rust toolchain found: install one from https://rustup.rs, then run this again',
			{
				cause: error,
			},
		)
	}
}

const check = (target) => {
	if (target in targets) return
	throw new Error(`nothing is made for ${target}; known: ${Object.keys(targets).join(', ')}`)
}

/** The cargo profile of what is packaged. */
const profile = 'packaged'

const cargo = (...args) => execFileSync('cargo', args, { cwd: root, stdio: 'inherit' })

/** Puts a file that cargo has built beside package.json; returns its path. */
const place = (target, built, name) => {
	const placed = join(root, name)
	// By renaming: a process that has the old one loaded, or runs it, keeps its file.
	copyFileSync(join(root, 'target', target, profile, built), `${placed}.new`)
	renameSync(`${placed}.new`, placed)
	return placed
}

/** Builds and places the addon; returns its path. */
export const build = (target = hostTarget()) => {
	check(target)
	// One crate type at a time: cargo leaves out link-time optimisation when it makes both.
	const args = [
		'rustc',
		'--profile',
		profile,
		'--locked',
		'--lib',
		'--crate-type',
		'cdylib',
		'--features',
		'node',
	]
	cargo(...args, '--target', target)
	const name = target.includes('windows')
		? 'argus_registry.dll'
		: `libargus_registry.${target.includes('apple') ? 'dylib' : 'so'}`
	return place(target, name, `argus-registry.${targets[target]}.node`)
}

/** Builds and places the program; returns its path. */
export const buildProgram = (target = hostTarget()) => {
	check(target)
	const args = ['build', '--profile', profile, '--locked', '--bin', 'argus-registry']
	cargo(...args, '--features', 'cli', '--target', target)
	const exe = target.includes('windows') ? '.exe' : ''
	return place(target, `argus-registry${exe}`, `argus-registry.${targets[target]}${exe}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	console.log(build(process.argv[2]))
	console.log(buildProgram(process.argv[2]))
}
