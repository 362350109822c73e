// Builds the addons and the program of every release target. On Linux x64 it builds for all of them, with zig
// as linker; elsewhere for those of the machine's own system, with the system's linker.

import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { printTable } from '../table.mjs'
import { buildFolder, filesFolder, root } from './paths.mjs'
import { writeFrameworks, writeLibraries, writeNodeLibraries } from './stubs.mjs'
import { chosenTargets, kindNames, kinds, releaseTargets } from './targets.mjs'
import { installPythonTools, installRustTarget, pythonPrograms } from './tools.mjs'

const usage = `npm run release:build -- [TARGET...] [--only ${kindNames.join('|')}]

Builds the addon, the program and the addon of the store in etcd (etcdAddon) for every release target, or for those that
are named:
  ${releaseTargets.map(({ platform }) => platform).join(' ')}
(or by their Rust targets). The files are put into target/release-files.

On Linux x64 everything is cross-built. What that takes is installed into target/: cargo-zigbuild and zig
from PyPI, and standard libraries by rustup. On macOS and Windows the targets of that system are built with
its own linker.`

/** The cargo profile of what is packaged. */
const PROFILE = 'packaged'

const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64'

/** How a file is built natively: for the platform's own Rust target, with the system's linker. */
const nativeBuild = ({ target, macos }) => ({
	target,
	cargo: ['cargo', target],
	env: macos ? { MACOSX_DEPLOYMENT_TARGET: macos } : {},
	// Microsoft's C runtime is not part of Windows: a file that links it does not load where it is not installed.
	rustflags: target.includes('msvc') ? ['-Ctarget-feature=+crt-static'] : [],
})

/** How a file is cross-built. */
const crossBuild = ({ os, crossTarget, zigTarget, macos }) => {
	const build = {
		target: crossTarget,
		cargo: ['cargo-zigbuild', zigTarget],
		env: { PATH: `${pythonPrograms}${delimiter}${process.env.PATH}` },
		rustflags: [],
	}
	if (os === 'win32') build.env.LIBNODE_PATH = writeNodeLibraries()
	if (os === 'darwin') {
		build.env.MACOSX_DEPLOYMENT_TARGET = macos
		build.rustflags.push(`-Lframework=${writeFrameworks()}`, `-Lnative=${writeLibraries()}`)
	}
	return build
}

/** What cargo makes of a crate of type cdylib. */
const cdylib = (name, os) =>
	({ darwin: `lib${name}.dylib`, linux: `lib${name}.so`, win32: `${name}.dll` })[os]

/** What cargo is told for each kind of file, and the name of what it makes. */
const builds = {
	addon: {
		// The cdylib alone: cargo leaves out link-time optimisation when it makes two crate types.
		args: ['--lib', '--crate-type', 'cdylib', '--features', 'node'],
		made: ({ os }) => cdylib('argus_registry', os),
	},
	program: {
		// Smaller still than the library: what the program adds runs once per start.
		args: ['--bin', 'argus-registry', '--features', 'cli', '--', '-Copt-level=z'],
		made: ({ os }) => `argus-registry${os === 'win32' ? '.exe' : ''}`,
	},
	etcdAddon: {
		args: ['-p', 'argus-registry-etcd-node', '--lib'],
		made: ({ os }) => cdylib('argus_registry_etcd_node', os),
	},
}

const run = ([command, ...args], env) => {
	const { status, error } = spawnSync(command, args, {
		cwd: root,
		stdio: 'inherit',
		env: { ...process.env, ...env },
	})
	if (error) throw new Error(`${command} can't be started: ${error.message}`)
	if (status !== 0) throw new Error(`${command} failed; its messages are above`)
}

/** Builds one file of a release target, and puts it into the folder of finished files; returns its path. */
const buildFile = (release, kind) => {
	const { args, made } = builds[kind]
	const { isAddon } = kinds[kind]
	const build = (isLinuxX64 ? crossBuild : nativeBuild)(release)
	const flags = [...build.rustflags]
	// A program of its own needs no C library of the system, of whichever version that is.
	if (!isAddon && release.platform.endsWith('-musl')) flags.push('-Ctarget-feature=+crt-static')
	if (release.os === 'darwin') {
		// exacl, libc and sysinfo name libraries that nothing here uses.
		flags.push('-Clink-arg=-Wl,-dead_strip_dylibs')
		// The default is the path on the machine that built it.
		if (isAddon) flags.push(`-Clink-arg=-Wl,-install_name,@rpath/${release[kind]}`)
	}
	const [cargo, asked] = build.cargo
	const common = ['--profile', PROFILE, '--locked', '--target', asked, '--target-dir', buildFolder]
	run([cargo, 'rustc', ...common, ...args], {
		...build.env,
		// Instead of the flags in .cargo/config.toml, if there are any: musl's addon needs those.
		...(flags.length > 0 && { RUSTFLAGS: flags.join(' ') }),
	})
	const finished = join(filesFolder, release[kind])
	mkdirSync(filesFolder, { recursive: true })
	copyFileSync(join(buildFolder, build.target, PROFILE, made(release)), `${finished}.new`)
	chmodSync(`${finished}.new`, isAddon ? 0o644 : 0o755)
	renameSync(`${finished}.new`, finished)
	return finished
}

const main = (args) => {
	if (args.includes('--help')) return console.log(usage)
	const at = args.indexOf('--only')
	const only = at < 0 ? kindNames : [args[at + 1]]
	if (!kinds[only[0]]) throw new Error(`--only takes ${kindNames.join(' or ')}\n\n${usage}`)
	const names = at < 0 ? args : [...args.slice(0, at), ...args.slice(at + 2)]
	const chosen = chosenTargets(names)
	const foreign = chosen.find(({ os }) => !isLinuxX64 && os !== process.platform)
	if (foreign) {
		const here = `${process.platform} on ${process.arch}`
		throw new Error(`${foreign.platform} can't be built by ${here}: Linux x64 builds all targets`)
	}
	if (isLinuxX64) installPythonTools()
	const rows = []
	for (const [index, release] of chosen.entries()) {
		installRustTarget(isLinuxX64 ? release.crossTarget : release.target)
		for (const kind of only) {
			console.log(`\n[${index + 1}/${chosen.length}] ${release.platform}: ${kind}`)
			const startedAt = performance.now()
			const { size } = statSync(buildFile(release, kind))
			const seconds = (performance.now() - startedAt) / 1000
			rows.push([release[kind], size.toLocaleString('en'), seconds.toFixed(0)])
		}
	}
	console.log(`\nIn ${filesFolder}:`)
	printTable(['file', 'bytes', 'seconds'], rows)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	try {
		main(process.argv.slice(2))
	} catch (error) {
		console.error(`release:build: ${error.message}`)
		process.exit(1)
	}
}
