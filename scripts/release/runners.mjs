// How a finished file is started on this machine to ask for its version, or why it can't be.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installMuslNode } from './musl.mjs'
import { installNode } from './nodes.mjs'
import { filesFolder } from './paths.mjs'
import { kinds } from './targets.mjs'
import { installWine, nodeProgram, wine } from './wine.mjs'

const isThere = (command) => !spawnSync(command, ['--version'], { stdio: 'ignore' }).error

/** Where Debian's cross packages have the C library of another processor. */
const ARM64_SYSROOT = '/usr/aarch64-linux-gnu'

/** How programs for arm64 run on Linux x64: emulated, with the C library of a cross package. */
const emulator = () => {
	if (!isThere('qemu-aarch64') || !existsSync(join(ARM64_SYSROOT, 'lib', 'libstdc++.so.6'))) {
		const packages = 'qemu-user libc6-arm64-cross libstdc++6-arm64-cross'
		return { reason: `no qemu-aarch64 with libraries (on Debian: apt-get install ${packages})` }
	}
	return { command: ['qemu-aarch64', '-L', ARM64_SYSROOT] }
}

const OTHER_LIBC = { reason: 'for another C library than that of this Node' }

/** A Node for musl, where it can be installed. */
const nodeForMusl = () => {
	try {
		return { command: [], node: installMuslNode(), how: 'Node for musl' }
	} catch (error) {
		return { reason: `${OTHER_LIBC.reason}, and none for it: ${error.message}` }
	}
}

const hostIsMusl = () =>
	process.platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime

const says = (command, args) =>
	execFileSync(command, args, { encoding: 'utf8', timeout: 60_000 }).trim()

const askByWine = (program, args) => {
	const { status, output } = wine(program, args, { timeout: 120_000 })
	if (status !== 0) throw new Error(output)
	return output.trim()
}

/** Wine, with a Node for Windows, where they can be installed. */
const byWine = () => {
	try {
		installWine()
		return { command: [], ask: askByWine, node: nodeProgram, how: 'Wine' }
	} catch (error) {
		return { reason: `for Windows, and there is no Wine: ${error.message}` }
	}
}

/**
 * What starts a program of a platform here: `{ command }`, the words before the program, with what `ask`s it,
 * and the `node` for an addon if that is none of npm's; or `{ reason }`.
 */
const starter = ({ platform, os, cpu }, kind) => {
	if (os === 'win32' && process.platform === 'linux' && cpu === 'x64' && process.arch === 'x64') {
		return byWine()
	}
	if (os !== process.platform) return { reason: `for another system than ${process.platform}` }
	const isMusl = platform.endsWith('-musl')
	// A program for musl has its C library in it.
	if (os === 'linux' && kinds[kind].isAddon && isMusl !== hostIsMusl()) {
		return isMusl && cpu === process.arch && cpu === 'x64' ? nodeForMusl() : OTHER_LIBC
	}
	if (cpu === process.arch) return { command: [] }
	if (os === 'linux' && cpu === 'arm64') return emulator()
	return { reason: `for another processor than ${process.arch}` }
}

/** The version that a file says it has: `{ version, how }`, or `{ reason }` if it can't run here. Throws if it should. */
export const versionOf = (release, kind) => {
	const started = starter(release, kind)
	const { command, reason, ask = says, node: given, how = command?.[0] ?? 'native' } = started
	if (!command) return { reason }
	const file = join(filesFolder, release[kind])
	if (!kinds[kind].isAddon) {
		const [first, ...rest] = [...command, file, '--version']
		return { version: ask(first, rest).replace(/^argus-registry /, ''), how }
	}
	const node = given ?? (release.cpu === process.arch ? process.execPath : installNode(release))
	const script = `console.log(require(${JSON.stringify(file)}).version())`
	const [first, ...rest] = [...command, node, '-e', script]
	return { version: ask(first, rest), how }
}
