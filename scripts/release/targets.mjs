// What is released: how each platform of lib/addon/platforms.js is built, what its files may need, and which
// machine of the workflows builds it natively. A test compares this table with package.json, npm/ and the loader.

import table from '../../lib/addon/platforms.js'

const { addonFile, programFile, targets } = table

/** The oldest glibc that an addon or program of a `gnu` platform may need: that of CentOS 7. */
const GLIBC_FLOOR = '2.17'

/** The oldest macOS that an addon or program may need: the first one on arm64. */
const MACOS_FLOOR = '11.0'

/** The largest size of a program in bytes. */
const PROGRAM_CEILING = 2_100_000

/** What a Linux file may link: glibc is split into several libraries until 2.34. */
const GLIBC_LIBRARIES = [
	'libc.so.6',
	'libdl.so.2',
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
 * - `addonCeiling`: the largest size of its addon in bytes, not far above what it has. A change that exceeds it has to be
 *   looked at.
 */
const facts = {
	'linux-x64-gnu': {
		zigTarget: `x86_64-unknown-linux-gnu.${GLIBC_FLOOR}`,
		machine: 'ubuntu-24.04',
		glibc: GLIBC_FLOOR,
		addonCeiling: 1_175_000,
		libraries: GLIBC_LIBRARIES,
	},
	'linux-arm64-gnu': {
		zigTarget: `aarch64-unknown-linux-gnu.${GLIBC_FLOOR}`,
		machine: 'ubuntu-24.04',
		glibc: GLIBC_FLOOR,
		addonCeiling: 1_075_000,
		libraries: GLIBC_LIBRARIES,
	},
	'linux-x64-musl': { machine: 'ubuntu-24.04', addonCeiling: 1_175_000, libraries: ['libc.so'] },
	'linux-arm64-musl': { machine: 'ubuntu-24.04', addonCeiling: 1_075_000, libraries: ['libc.so'] },
	'darwin-x64': {
		machine: 'macos-15-intel',
		addonCeiling: 1_125_000,
		macos: MACOS_FLOOR,
		libraries: MACOS_LIBRARIES,
	},
	'darwin-arm64': {
		machine: 'macos-15',
		addonCeiling: 1_100_000,
		macos: MACOS_FLOOR,
		libraries: MACOS_LIBRARIES,
	},
	// Microsoft's linker and libraries are not for Linux: there, the files are for the other C runtime of
	// Windows, which is part of the system.
	'win32-x64-msvc': {
		crossTarget: 'x86_64-pc-windows-gnullvm',
		machine: 'windows-2025',
		addonCeiling: 1_125_000,
		libraries: WINDOWS_LIBRARIES,
	},
	'win32-arm64-msvc': {
		crossTarget: 'aarch64-pc-windows-gnullvm',
		machine: 'windows-11-arm',
		addonCeiling: 975_000,
		libraries: WINDOWS_LIBRARIES,
	},
}

/** Every release target, in the order of lib/addon/platforms.js. */
export const releaseTargets = Object.entries(targets).map(([platform, target]) => {
	const [os, cpu] = platform.split('-')
	const { crossTarget = target, addonCeiling, ...rest } = facts[platform]
	return {
		platform,
		target,
		crossTarget,
		zigTarget: crossTarget,
		os,
		cpu,
		addon: addonFile(platform),
		program: programFile(platform),
		ceilings: { addon: addonCeiling, program: PROGRAM_CEILING },
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
