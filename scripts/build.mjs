// Builds the addon for this machine (or for the Rust target given as argument) and puts it where
// lib/native.js looks for it. Cargo decides what there is to do: nothing, most of the time.

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

/** Builds and places the addon; returns its path. */
export const build = (target = hostTarget()) => {
	if (!(target in targets)) {
		throw new Error(`no addon is made for ${target}; known: ${Object.keys(targets).join(', ')}`)
	}
	// One crate type at a time: cargo leaves out link-time optimisation when it makes both.
	const args = [
		'rustc',
		'--release',
		'--locked',
		'--lib',
		'--crate-type',
		'cdylib',
		'--features',
		'node',
	]
	execFileSync('cargo', [...args, '--target', target], { cwd: root, stdio: 'inherit' })
	const name = target.includes('windows')
		? 'argus_registry.dll'
		: `libargus_registry.${target.includes('apple') ? 'dylib' : 'so'}`
	const placed = join(root, `argus-registry.${targets[target]}.node`)
	// By renaming: a process that has the old addon loaded keeps its file.
	copyFileSync(join(root, 'target', target, 'release', name), `${placed}.new`)
	renameSync(`${placed}.new`, placed)
	return placed
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	console.log(build(process.argv[2]))
}
