// The npm packages as they are laid out for publishing.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { platformPackages, stage } from '../../scripts/release/stage.mjs'
import { skipIf } from '../support/skip.mjs'

test('a main package follows those that it needs, and has what npm packs and the licence', {
	skip: skipIf(
		process.platform === 'win32',
		'there npm is a batch file; packages are published from Linux',
	),
}, async () => {
	// Without files that have to be built.
	const folders = await stage([])
	assert.deepEqual(
		folders.map((folder) => basename(folder)),
		['argus-registry', 'argus-registry-cli', 'argus-registry-etcd'],
	)
	const manifests = folders.map((folder) =>
		JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')),
	)
	for (const { name, optionalDependencies, scripts, devDependencies } of manifests) {
		assert.deepEqual(optionalDependencies, {}, `${name} names what is published alone`)
		assert.deepEqual([scripts, devDependencies], [undefined, undefined], name)
	}
	const [{ version }, program, etcd] = manifests
	assert.deepEqual(program.dependencies, { 'argus-registry': version })
	assert.deepEqual(etcd.peerDependencies, { 'argus-registry': version })
	assert.deepEqual(readdirSync(folders[2]).sort(), [
		'LICENSE',
		'README.md',
		'index.d.ts',
		'index.js',
		'package.json',
		'platforms.js',
	])
})

test('a package whose file is not built is refused by its name', async () => {
	const [first] = platformPackages()
	await assert.rejects(stage([{ ...first, missing: first.manifest.files }]), {
		message: `${first.manifest.name} has no ${first.manifest.files[0]}: build it with \`npm run release:build\``,
	})
})
