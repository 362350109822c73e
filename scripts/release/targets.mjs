// What is released: the kinds of files, how each platform of lib/addon/platforms.js is built, what its files may need,
// and which machine of the workflows builds it natively. A test compares this table with package.json, the packages
// per platform and the loader.

import table from '../../lib/addon/platforms.js'

const { targets } = table

/**
 * What is built for every platform. Of each kind of file:
 * - `what` it is, in words;
 * - `isAddon`: Node loads it; otherwise it is a program;
 * - `fileOf`, `packageOf`: the file of a platform, and the npm package that holds it;
 * - `group`: the folder of the tree that has a folder for each of those packages;
 * - `main`: the folder of the package that names them as optional dependencies.
 *
 * In the order in which packages are published: each main package after those that it needs.
 */
export const kinds = {
	addon: {
		what: 'The addon of `argus-registry`',
		isAddon: true,
		fileOf: table.addonFile,
		packageOf: table.packageOf,
		group: 'npm',
		main: '.',
	},
	program: {
		what: 'The program `argus-registry`',
		isAddon: false,
		fileOf: table.programFile,
		packageOf: table.programPackageOf,
		group: 'npm-cli',
		main: 'npm-cli',
	},
	etcdAddon: {
		what: 'The addon of `argus-registry-etcd`',
		isAddon: true,
		fileOf: table.etcdAddonFile,
		packageOf: table.etcdPackageOf,
		group: 'etcd/npm',
		main: 'etcd/npm',
	},
}

export const kindNames = Object.keys(kinds)

/** The oldest glibc that an addon or program of a `gnu` platform may need: that of CentOS 7. */
const GLIBC_FLOOR = '2.17'

/** The oldest macOS that an addon or program may need: the first one on arm64. */
const MACOS_FLOOR = '11.0'

/** What a Linux file may link: glibc is split into several libraries until 2.34. */
const GLIBC_LIBRARIES = [
	'libc.so.6',
	'libdl.so.2',
	'libm.so.6',
	'libpthread.so.0',
	'ld-linux-x86-64.so.2',
	'ld-linux-aarch64.so.1',
]

const MACOS_LIBRARIES = [
	'/usr/lib/libSystem.B.dylib',
	'/System/Library/Frameworks/CoreFoundation.framework/Versions/A/CoreFoundation',
	'/System/Library/Frameworks/CoreServices.framework/Versions/A/CoreServices',
	'/System/Library/Frameworks/IOKit.framework/Versions/A/IOKit',
]

/** Windows' own libraries. `api-ms-win-*` stands for the sets that Windows 10 resolves by itself. */
const WINDOWS_LIBRARIES = [
	'advapi32.dll',
	'api-ms-win-*',
	'bcrypt.dll',
	'bcryptprimitives.dll',
	'combase.dll',
	'iphlpapi.dll',
	'kernel32.dll',
	'kernelbase.dll',
	'msvcrt.dll',
	'ntdll.dll',
	'ole32.dll',
	'oleaut32.dll',
	'pdh.dll',
	'powrprof.dll',
	'psapi.dll',
	'shell32.dll',
	'user32.dll',
	'userenv.dll',
	'ws2_32.dll',
]

/**
 * Of each platform:
 * - `crossTarget`: the Rust target that a Linux x64 machine builds it for, if it is not the platform's own;
 * - `zigTarget`: what cargo-zigbuild is asked for, if that is not the Rust target: it takes a glibc version;
 * - `machine`: the runner of the workflows;
 * - `libraries`: what its files may link;
 * - `glibc`, `macos`: the highest version that its files may need;
 * - `addonCeiling`, `programCeiling`, `etcdAddonCeiling`: the largest size of each file in bytes, not far above what it
 *   has. A change that exceeds it has to be looked at.
 */
const facts = {
	'linux-x64-gnu': {
		zigTarget: `x86_64-unknown-linux-gnu.${GLIBC_FLOOR}`,
		machine: 'ubuntu-24.04',
		glibc: GLIBC_FLOOR,
		addonCeiling: 1_575_000,
		programCeiling: 2_500_000,
		etcdAddonCeiling: 4_125_000,
		libraries: GLIBC_LIBRARIES,
	},
	'linux-arm64-gnu': {
		zigTarget: `aarch64-unknown-linux-gnu.${GLIBC_FLOOR}`,
		machine: 'ubuntu-24.04',
		glibc: GLIBC_FLOOR,
		addonCeiling: 1_450_000,
		programCeiling: 2_275_000,
		etcdAddonCeiling: 3_700_000,
		libraries: GLIBC_LIBRARIES,
	},
	'linux-x64-musl': {
		machine: 'ubuntu-24.04',
		addonCeiling: 1_575_000,
		programCeiling: 2_500_000,
		etcdAddonCeiling: 4_125_000,
		libraries: ['libc.so'],
	},
	'linux-arm64-musl': {
		machine: 'ubuntu-24.04',
		addonCeiling: 1_450_000,
		programCeiling: 2_275_000,
		etcdAddonCeiling: 3_700_000,
		libraries: ['libc.so'],
	},
	'darwin-x64': {
		machine: 'macos-15-intel',
		addonCeiling: 1_500_000,
		programCeiling: 2_325_000,
		etcdAddonCeiling: 3_900_000,
		macos: MACOS_FLOOR,
		libraries: MACOS_LIBRARIES,
	},
	'darwin-arm64': {
		machine: 'macos-15',
		addonCeiling: 1_425_000,
		programCeiling: 2_175_000,
		etcdAddonCeiling: 3_700_000,
		macos: MACOS_FLOOR,
		libraries: MACOS_LIBRARIES,
	},
	// Microsoft's linker and libraries are not for Linux: there, the files are for the other C runtime of
	// Windows, which is part of the system.
	'win32-x64-msvc': {
		crossTarget: 'x86_64-pc-windows-gnullvm',
		machine: 'windows-2025',
		addonCeiling: 1_525_000,
		programCeiling: 2_300_000,
		etcdAddonCeiling: 3_875_000,
		libraries: WINDOWS_LIBRARIES,
	},
	'win32-arm64-msvc': {
		crossTarget: 'aarch64-pc-windows-gnullvm',
		machine: 'windows-11-arm',
		addonCeiling: 1_300_000,
		programCeiling: 2_000_000,
		etcdAddonCeiling: 3_400_000,
		libraries: WINDOWS_LIBRARIES,
	},
}

/** Every release target, in the order of lib/addon/platforms.js. It has its file of each kind by the kind's name. */
export const releaseTargets = Object.entries(targets).map(([platform, target]) => {
	const [os, cpu] = platform.split('-')
	const {
		crossTarget = target,
		addonCeiling,
		programCeiling,
		etcdAddonCeiling,
		...rest
	} = facts[platform]
	const files = Object.entries(kinds).map(([kind, { fileOf }]) => [kind, fileOf(platform)])
	return {
		platform,
		target,
		crossTarget,
		zigTarget: crossTarget,
		os,
		cpu,
		...Object.fromEntries(files),
		ceilings: { addon: addonCeiling, program: programCeiling, etcdAddon: etcdAddonCeiling },
		...rest,
	}
})

/** The release targets that the arguments name, by platform or Rust target; all, if there are none. */
export const chosenTargets = (names) => {
	const unknown = names.find(
		(name) => !releaseTargets.some(({ platform, target }) => name === platform || name === target),
	)
	if (unknown !== undefined) {
		const known = releaseTargets.map(({ platform }) => platform).join(' ')
		throw new Error(`there is no release target ${unknown}; known: ${known}`)
	}
	return releaseTargets.filter(
		({ platform, target }) =>
			names.length === 0 || names.includes(platform) || names.includes(target),
	)
}
