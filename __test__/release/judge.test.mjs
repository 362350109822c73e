// What `npm run release:verify` refuses. The facts are those that the reader of object files gave of files that
// were built for these targets; each test changes one.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isHigher, problemsOf } from '../../scripts/release/judge.mjs'
import { releaseTargets } from '../../scripts/release/targets.mjs'
import { skipIf } from '../support/skip.mjs'

const release = (name) => releaseTargets.find(({ platform }) => platform === name)

const addonForLinux = {
	format: 'ELF',
	machine: 'X86_64',
	libraries: ['libc.so.6', 'ld-linux-x86-64.so.2', 'libpthread.so.0', 'libdl.so.2'],
	glibc: '2.17',
	imports: [],
	exports: ['napi_register_module_v1'],
}

const addonForMac = {
	format: 'Mach-O',
	machine: 'ARM64',
	libraries: ['/usr/lib/libSystem.B.dylib'],
	macos: '11.0',
	installName: '@rpath/argus-registry.darwin-arm64.node',
	signature: 'ad-hoc, 240 pages',
	imports: ['napi_create_error'],
	exports: ['napi_register_module_v1'],
}

const file = { size: 900_000, mode: 0o100644 }
const program = { size: 2_000_000, mode: 0o100755 }

const ofLinux = (facts, stat = file) =>
	problemsOf(release('linux-x64-gnu'), 'addon', { ...addonForLinux, ...facts }, stat)

const ofMac = (facts) =>
	problemsOf(release('darwin-arm64'), 'addon', { ...addonForMac, ...facts }, file)

test('a file that needs nothing more than its release target allows has no problem', () => {
	assert.deepEqual(ofLinux({}), [])
	assert.deepEqual(ofMac({}), [])
})

test('a newer glibc, another C library and another library are refused', () => {
	assert.deepEqual(ofLinux({ glibc: '2.34' }), ['it needs glibc 2.34'])
	assert.deepEqual(ofLinux({ libraries: ['libgcc_s.so.1'] }), ['it links libgcc_s.so.1'])
	const musl = { ...addonForLinux, libraries: ['libc.so'], glibc: '2.17' }
	assert.deepEqual(problemsOf(release('linux-x64-musl'), 'addon', musl, file), [
		'it needs glibc 2.17, and is for another C library',
	])
})

test('a file for another processor or system, too large, or without a module is refused', () => {
	assert.deepEqual(ofLinux({ machine: 'AARCH64' }), ['it is for AARCH64'])
	assert.match(ofLinux({ format: 'PE' })[0], /a file of PE/)
	const { addon: ceiling } = release('linux-x64-gnu').ceilings
	assert.deepEqual(ofLinux({}, { ...file, size: ceiling }), [])
	assert.deepEqual(ofLinux({}, { ...file, size: ceiling + 1 }), [
		`it has ${ceiling + 1} bytes, more than ${ceiling}`,
	])
	assert.deepEqual(ofLinux({ exports: [] }), ['Node would find no module in it'])
})

test('macOS: a newer system, a wrong signature and a path of the machine that built it are refused', () => {
	assert.deepEqual(ofMac({ macos: '15.0' }), ['it needs macOS 15.0'])
	assert.deepEqual(ofMac({ signature: 'the hash of page 3 is wrong' }), [
		'its signature: the hash of page 3 is wrong',
	])
	assert.deepEqual(ofMac({ signature: 'none' }), ['its signature: none'])
	const forX64 = {
		...addonForMac,
		machine: 'X86_64',
		installName: '@rpath/argus-registry.darwin-x64.node',
		signature: 'none',
	}
	assert.deepEqual(problemsOf(release('darwin-x64'), 'addon', forX64, file), [])
	assert.match(ofMac({ installName: '/tmp/libargus_registry.dylib' })[0], /install name is \/tmp/)
	// Looked up in whatever is loaded: it would be there by chance.
	assert.deepEqual(ofMac({ imports: ['CFRelease'] }), ['no library has CFRelease, which it needs'])
})

test('the addon of the store in etcd has a ceiling and an install name of its own', () => {
	const { etcdAddon: size } = release('darwin-arm64').ceilings
	const installName = '@rpath/argus-registry-etcd.darwin-arm64.node'
	const problems = (facts, stat) =>
		problemsOf(release('darwin-arm64'), 'etcdAddon', { ...addonForMac, ...facts }, stat)
	assert.deepEqual(problems({ installName }, { ...file, size }), [])
	assert.deepEqual(problems({}, { ...file, size: size + 1 }), [
		`it has ${size + 1} bytes, more than ${size}`,
		`its install name is ${addonForMac.installName}`,
	])
	assert.deepEqual(problems({ installName, exports: [] }, file), [
		'Node would find no module in it',
	])
})

test('a program that can not be executed is refused', {
	skip: skipIf(process.platform === 'win32', 'files have no modes there'),
}, () => {
	const facts = { ...addonForLinux, exports: [] }
	const problems = (stat) => problemsOf(release('linux-x64-gnu'), 'program', facts, stat)
	assert.deepEqual(problems(program), [])
	assert.deepEqual(problems({ ...program, mode: 0o100644 }), ['its mode is 644'])
})

test('Windows: only libraries of the system', () => {
	const facts = {
		format: 'PE',
		machine: 'AMD64',
		imports: [],
		exports: ['napi_register_module_v1'],
	}
	const problems = (libraries) =>
		problemsOf(release('win32-x64-msvc'), 'addon', { ...facts, libraries }, file)
	assert.deepEqual(problems(['kernel32.dll', 'api-ms-win-core-synch-l1-2-0.dll']), [])
	assert.deepEqual(problems(['libunwind.dll']), ['it links libunwind.dll'])
})

test('versions are compared part by part', () => {
	assert.ok(isHigher('2.34', '2.17'))
	assert.ok(!isHigher('2.9', '2.17'))
	assert.ok(!isHigher('2.17', '2.17'))
	assert.ok(isHigher('2.3.4', '2.3'))
	assert.ok(!isHigher('11.0', '11.0'))
})
