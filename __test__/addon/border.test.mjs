// A bundle and its addon are updated apart from each other. They fit if their border versions are equal,
// whatever the versions of the package are: when those had to be equal, the first patch release of the addon
// kept each bundle from starting.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import border from '../../lib/addon/border.js'
import { borderProblem, hashOf, typingsFile } from '../../scripts/typings.mjs'
import { folder } from '../support/folder.mjs'
import { addonFile, addonPath, installPackage, writePackage } from '../support/install.mjs'
import { commandFor } from '../support/script.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const addonPackage = `argus-registry-${addonFile.split('.')[1]}`

/** index.js as another version of the package has it. */
const indexOf = ({ version: otherVersion = version, borderVersion = border.BORDER_VERSION }) => {
	const text = readFileSync(join(root, 'index.js'), 'utf8')
	const changed = text
		.replace(`version:"${version}"`, `version:"${otherVersion}"`)
		.replace(/BORDER_VERSION:\d+/, `BORDER_VERSION:${borderVersion}`)
	assert.notEqual(changed, text)
	return changed
}

/** Runs an update by another version of the package with the addon of this one. */
const run = (at, other, prepare) => {
	const nodeModules = join(at.dir, 'node_modules')
	const { dir, addonDir } = installPackage(nodeModules)
	writeFileSync(join(dir, 'index.js'), indexOf(other))
	prepare?.({ nodeModules, dir, addonDir })
	const program = join(at.dir, 'program.cjs')
	writeFileSync(
		program,
		`require(${JSON.stringify(dir)}).updateRegistrySync(process.argv[2], (registry) => ({ ...registry, updatedAt: 7 }))`,
	)
	const [command, ...args] = commandFor(program)
	return spawnSync(command, [...args, at.path], { encoding: 'utf8' })
}

const [major, minor, patch] = version.split('.').map(Number)
const before = patch > 0 ? `${major}.${minor}.${patch - 1}` : `${major}.${minor - 1}.9`

for (const [which, other] of [
	['the next version', before],
	['the version before', `${major}.${minor}.${patch + 1}`],
]) {
	test(`a bundle runs with the addon of ${which}, if the border is the same one`, (t) => {
		const at = folder(t)
		const { status, stderr } = run(at, { version: other })
		assert.equal(status, 0, stderr)
		assert.equal(at.json().updatedAt, 7)
	})

	test(`a library’s bundle finds the addon of ${which} in a store`, (t) => {
		const at = folder(t)
		const { status, stderr } = run(at, { version: other }, ({ nodeModules, dir, addonDir }) => {
			const stored = join(nodeModules, '.pnpm', `${addonPackage}@${version}`, 'node_modules')
			writePackage(stored, { name: 'store' }, '')
			renameSync(addonDir, join(stored, addonPackage))
			// Not beside the package's own manifest, as in a bundle.
			renameSync(join(dir, 'package.json'), join(dir, 'manifest.json'))
		})
		assert.equal(status, 0, stderr)
		assert.equal(at.json().updatedAt, 7)
	})
}

for (const [which, borderVersion] of [
	['an older', border.BORDER_VERSION + 1],
	['a newer', border.BORDER_VERSION - 1],
]) {
	test(`an addon for ${which} border is refused, and the error says what to do`, (t) => {
		const at = folder(t)
		const { status, stderr } = run(at, { version: '7.8.9', borderVersion })
		assert.notEqual(status, 0)
		const [first] = /argus-registry has no addon .*/.exec(stderr)
		const found = `it is of argus-registry ${version}, for border version ${border.BORDER_VERSION}`
		assert.ok(first.includes(found), first)
		assert.ok(first.includes(`this is argus-registry 7.8.9, for ${borderVersion}`), first)
		assert.ok(first.includes('put the addon of argus-registry 7.8.9 there'), first)
		assert.ok(first.includes(`or make the bundle again with argus-registry ${version}`), first)
		assert.doesNotMatch(first, /--omit=optional/)
	})
}

test('an addon without a border version is refused', (t) => {
	const at = folder(t)
	const { status, stderr } = run(at, { version: '7.8.9' }, ({ addonDir }) => {
		writePackage(addonDir, { name: addonPackage }, `exports.version = () => '7.8.9'`)
	})
	assert.notEqual(status, 0)
	assert.match(stderr, /has no addon .*: it is no addon of argus-registry, or one from before/)
	assert.match(stderr, /put the addon of argus-registry 7\.8\.9 there/)
})

test('lib/, the Rust code and the built addon have one border version', () => {
	const rust = readFileSync(join(root, 'src', 'node', 'mod.rs'), 'utf8')
	assert.equal(Number(/BORDER_VERSION: u32 = (\d+);/.exec(rust)[1]), border.BORDER_VERSION)
	const native = createRequire(import.meta.url)(addonPath)
	assert.equal(native.borderVersion(), border.BORDER_VERSION)
})

test('the declarations of the border are those of its version', () => {
	assert.equal(borderProblem(readFileSync(typingsFile, 'utf8')), undefined)
})

test('a changed declaration needs a new hash, and a changed comment none', () => {
	const typings = readFileSync(typingsFile, 'utf8')
	const commented = typings.replace('/** A failure of a call.', '/** A failure, of a call.')
	assert.notEqual(commented, typings)
	assert.equal(hashOf(commented), hashOf(typings))
	const changed = typings.replace(
		'export function resolve(path: string)',
		'export function resolve(path: URL)',
	)
	assert.notEqual(changed, typings)
	assert.match(
		borderProblem(changed),
		/raise\nBORDER_VERSION .* set DECLARATIONS_HASH to '[0-9a-f]{16}'/s,
	)
})
