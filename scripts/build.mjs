// Builds index.js from lib/, and the addon and the program for this machine (or for the Rust target given as
// argument), and puts them where lib/addon/load.js and bin/argus-registry.js search for them. Cargo decides
// what there is to do: nothing, most of the time.

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import table from '../lib/addon/platforms.js'
import { bundle } from './bundle.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { addonFile, etcdAddonFile, programFile, targets } = table

/** The platform of each Rust target that the package is made for. */
const platforms = new Map(Object.entries(targets).map(([platform, target]) => [target, platform]))
// Built by mingw on other systems, for tests: Node loads an addon of either ABI.
platforms.set('x86_64-pc-windows-gnu', 'win32-x64-msvc')

/** What rustc says of itself: its `host`, its `release`. */
const rustc = (name) => {
	try {
		const text = execFileSync('rustc', ['-vV'], { encoding: 'utf8' })
		return new RegExp(`^${name}: (.+)$`, 'm').exec(text)[1]
	} catch (error) {
		throw new Error(
			'no Rust toolchain found: install one from https://rustup.rs, then run this again',
			{
				cause: error,
			},
		)
	}
}

const hostTarget = () => rustc('host')

const platformOf = (target) => {
	const platform = platforms.get(target)
	if (platform) return platform
	throw new Error(`nothing is made for ${target}; known: ${[...platforms.keys()].join(', ')}`)
}

/** The cargo profile of what is packaged. */
const profile = 'packaged'

const cargo = (...args) => execFileSync('cargo', args, { cwd: root, stdio: 'inherit' })

/** Puts a file that cargo has built in a folder of target/ where it is searched for; returns its path. */
const placeFrom = (folder, built, name) => {
	const placed = join(root, name)
	// By renaming: a process that has the old one loaded, or runs it, keeps its file.
	copyFileSync(join(root, 'target', folder, built), `${placed}.new`)
	renameSync(`${placed}.new`, placed)
	return placed
}

const place = (target, built, name) => placeFrom(join(target, profile), built, name)

/** Builds and places the addon; returns its path. */
export const build = (target = hostTarget()) => {
	const placed = addonFile(platformOf(target))
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
	return place(target, name, placed)
}

/** Builds and places the program; returns its path. */
export const buildProgram = (target = hostTarget()) => {
	const placed = programFile(platformOf(target))
	const args = ['build', '--profile', profile, '--locked', '--bin', 'argus-registry']
	cargo(...args, '--features', 'cli', '--target', target)
	const exe = target.includes('windows') ? '.exe' : ''
	return place(target, `argus-registry${exe}`, placed)
}

/** Lets this package, or a copy of it, find that of the store in etcd as if it were installed. */
export const linkEtcdPackage = (folder = root) => {
	const link = join(folder, 'node_modules', 'argus-registry-etcd')
	mkdirSync(dirname(link), { recursive: true })
	rmSync(link, { recursive: true, force: true })
	// A junction on Windows, where other links need a right. It has an absolute target.
	symlinkSync(join(folder, 'etcd', 'npm'), link, 'junction')
}

/** Why the store in etcd can't be built here; undefined if it can. It needs a newer Rust than the core. */
export const etcdObstacle = () => {
	const manifest = readFileSync(join(root, 'etcd', 'node', 'Cargo.toml'), 'utf8')
	const needed = /^rust-version = "(.+)"$/m.exec(manifest)[1]
	const release = rustc('release')
	const [major, minor] = release.split('.').map(Number)
	const isOlder = major < 2 && minor < Number(needed.split('.')[1])
	return isOlder ? `it needs Rust ${needed}, and this is ${release}` : undefined
}

/**
 * Builds and places the addon of the store in etcd for this machine; returns its path, or nothing where that can't be
 * built. What it depends on takes minutes to optimise. So it is built like the tests of the crate, which need the same
 * crates, unless it `isPackaged`.
 */
export const buildEtcd = ({ isPackaged = false } = {}) => {
	linkEtcdPackage()
	const obstacle = etcdObstacle()
	if (obstacle) {
		console.log(`The store in etcd is left out: ${obstacle}`)
		return undefined
	}
	cargo(
		...['build', '--locked', '-p', 'argus-registry-etcd-node'],
		...(isPackaged ? ['--profile', profile] : []),
	)
	const target = hostTarget()
	const name = target.includes('windows')
		? 'argus_registry_etcd_node.dll'
		: `libargus_registry_etcd_node.${target.includes('apple') ? 'dylib' : 'so'}`
	const placed = join('etcd', 'npm', etcdAddonFile(platformOf(target)))
	return placeFrom(isPackaged ? profile : 'debug', name, placed)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	await bundle()
	console.log(build(process.argv[2]))
	console.log(buildProgram(process.argv[2]))
	// For another target its C code, ring's, needs a compiler of that target.
	if (process.argv[2] === undefined) console.log(buildEtcd({ isPackaged: true }) ?? '')
}
