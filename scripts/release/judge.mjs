// What is wrong with a finished file, from what it says of itself (object_files.py) and what its release target
// allows (targets.mjs).

import { kinds } from './targets.mjs'

const machines = {
	ELF: { x64: 'X86_64', arm64: 'AARCH64' },
	'Mach-O': { x64: 'X86_64', arm64: 'ARM64' },
	PE: { x64: 'AMD64', arm64: 'ARM64' },
}

const formats = { linux: 'ELF', darwin: 'Mach-O', win32: 'PE' }

/** Whether a version is higher than another, both of numbers and dots. */
export const isHigher = (version, than) => {
	const [a, b] = [version, than].map((each) => each.split('.').map(Number))
	const at = a.findIndex((part, index) => part !== (b[index] ?? 0))
	return at >= 0 && a[at] > (b[at] ?? 0)
}

/** Whether the list of a release target has a library; `*` at the end of a name stands for any rest. */
const isAllowed = (library, allowed) =>
	allowed.some((name) =>
		name.endsWith('*') ? library.startsWith(name.slice(0, -1)) : library === name,
	)

/** What is wrong with a file: one line for each finding. `stat` is the file's, from `fs.stat`. */
export const problemsOf = (release, kind, facts, stat) => {
	const { os, cpu, libraries, ceilings, glibc, macos } = release
	const isLibrary = kinds[kind].isAddon
	const problems = []
	const check = (isRight, problem) => {
		if (!isRight) problems.push(problem)
	}
	check(facts.format === formats[os], `it is a file of ${facts.format}`)
	check(facts.machine === machines[facts.format]?.[cpu], `it is for ${facts.machine}`)
	check(stat.size <= ceilings[kind], `it has ${stat.size} bytes, more than ${ceilings[kind]}`)
	for (const library of facts.libraries) {
		check(isAllowed(library, libraries), `it links ${library}`)
	}
	if (facts.glibc) {
		check(glibc, `it needs glibc ${facts.glibc}, and is for another C library`)
		if (glibc) check(!isHigher(facts.glibc, glibc), `it needs glibc ${facts.glibc}`)
	}
	if (os === 'darwin') {
		check(!isHigher(facts.macos, macos), `it needs macOS ${facts.macos}`)
		// Without a right one, macOS on arm64 kills the process that runs or loads it. Linkers sign for arm64 alone.
		const isSigned = /^ad-hoc/.test(facts.signature)
		const needsNone = cpu !== 'arm64' && facts.signature === 'none'
		check(isSigned || needsNone, `its signature: ${facts.signature}`)
		const installName = isLibrary ? `@rpath/${release[kind]}` : null
		check(facts.installName === installName, `its install name is ${facts.installName}`)
	}
	for (const name of facts.imports) {
		check(isLibrary && /^(?:napi|node_api)_/.test(name), `no library has ${name}, which it needs`)
	}
	if (isLibrary) {
		check(facts.exports.includes('napi_register_module_v1'), 'Node would find no module in it')
	} else if (process.platform !== 'win32') {
		check((stat.mode & 0o111) === 0o111, `its mode is ${(stat.mode & 0o777).toString(8)}`)
	}
	return problems
}
