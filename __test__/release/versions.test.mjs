// Nothing is published whose manifests and files are of several versions.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from '../../scripts/release/paths.mjs'
import { platformPackages } from '../../scripts/release/stage.mjs'
import { checkVersions, crateVersions } from '../../scripts/release/versions.mjs'

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** The packages as the tree has them, without built files. */
const packages = platformPackages().map((each) => ({ ...each, missing: each.manifest.files }))

test('the manifests of the tree are of one version', () => {
	checkVersions(version, packages)
})

test('of the crates, the versions by which they depend on each other are compared, too', () => {
	assert.deepEqual(
		crateVersions().map(([what]) => what),
		[
			'Cargo.toml',
			'etcd/Cargo.toml',
			'argus-registry in etcd/Cargo.toml',
			'etcd/node/Cargo.toml',
			'argus-registry in etcd/node/Cargo.toml',
			'argus-registry-etcd in etcd/node/Cargo.toml',
		],
	)
})

test('a package of another version, and another version of all, are refused', () => {
	const last = packages.at(-1)
	const older = { ...last, manifest: { ...last.manifest, version: '0.0.9' } }
	assert.throws(() => checkVersions(version, [...packages.slice(0, -1), older]), {
		message: `package.json has ${version}, and ${last.manifest.name} has 0.0.9`,
	})
	assert.throws(
		() => checkVersions('7.8.9', packages),
		/package\.json has 7\.8\.9, and Cargo\.toml has /,
	)
})

for (const args of [
	['--dryrun'],
	['--dry-run=true'],
	['dry-run'],
	['--tag'],
	['--tag', 'v0.0.9'],
]) {
	test(`release:publish refuses ${args.join(' ')}`, () => {
		const script = join(root, 'scripts', 'release', 'publish.mjs')
		const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], {
			encoding: 'utf8',
		})
		assert.equal(status, 1)
		assert.match(stderr, /^release:publish: /)
		assert.equal(stdout, '')
	})
}
