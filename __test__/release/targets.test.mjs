// One table of targets: what the loaders, the launcher and the packages per platform say agrees with it.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import etcdTable from '../../etcd/npm/platforms.js'
import table from '../../lib/addon/platforms.js'
import { chosenTargets, kindNames, releaseTargets } from '../../scripts/release/targets.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
/** The manifests of all packages that are for one platform. */
const platformPackages = () =>
	['npm', 'npm-cli', 'etcd/npm'].flatMap((group) =>
		readdirSync(join(root, group), { withFileTypes: true })
			.filter((entry) => entry.isDirectory())
			.map(({ name }) => json(group, name, 'package.json')),
	)

const json = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'))

test('every platform of the loaders is a release target, with a ceiling for each of its files', () => {
	for (const each of [table, etcdTable]) {
		assert.deepEqual(
			releaseTargets.map(({ platform, target }) => [platform, target]),
			Object.entries(each.targets),
		)
	}
	for (const { platform, ceilings } of releaseTargets) {
		for (const kind of kindNames) assert.ok(ceilings[kind] > 0, `${platform}: ${kind}`)
	}
})

test('every package per platform is for the system, processor and C library of its release target', () => {
	const packages = platformPackages()
	for (const { platform, os, cpu, glibc } of releaseTargets) {
		const own = packages.filter(({ name }) => name.endsWith(platform))
		assert.equal(own.length, 3, `${platform}: one with each addon, one with the program`)
		for (const made of own) {
			assert.deepEqual([made.os, made.cpu], [[os], [cpu]], made.name)
			const libc = os === 'linux' ? [glibc ? 'glibc' : 'musl'] : undefined
			assert.deepEqual(made.libc, libc, made.name)
		}
	}
})

test('the packages have the files of every release target, each one once', () => {
	const files = platformPackages().flatMap((made) => made.files)
	const made = releaseTargets.flatMap((release) => kindNames.map((kind) => release[kind]))
	assert.deepEqual(files.sort(), made.sort())
})

test('the package of the store in etcd finds the file and the package of this platform under their names', () => {
	for (const platform of etcdTable.platformsHere()) {
		const made = json('etcd', 'npm', platform, 'package.json')
		assert.equal(made.name, etcdTable.etcdPackageOf(platform))
		assert.equal(made.main, etcdTable.etcdAddonFile(platform))
	}
})

test('a release target is chosen by its platform or its Rust target, and a wrong name is refused', () => {
	const [{ platform }] = chosenTargets(['aarch64-apple-darwin'])
	assert.equal(platform, 'darwin-arm64')
	assert.equal(chosenTargets(['linux-x64-musl', 'linux-x64-gnu']).length, 2)
	assert.equal(chosenTargets([]).length, releaseTargets.length)
	assert.throws(
		() => chosenTargets(['linux-x32']),
		/no release target linux-x32; known: linux-x64-gnu /,
	)
})
