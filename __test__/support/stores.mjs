// One list of tests for every store of a registry.

import { realpathSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRegistrySync } from '../../index.js'
import { newEtcdPath, skipWithoutEtcd } from './etcd.mjs'
import { folder } from './folder.mjs'

/** The paths of a registry that is not there yet, by the store of a folder that they choose. */
const STORES = {
	file: (dir) => join(dir, 'registry.json'),
	folder: (dir) => join(dir, 'registry', '/'),
}

/** A registry that is not there yet. */
const registryAt = (store, path) => {
	const watchers = () => {
		const { registry, warnings } = readRegistrySync(path)
		if (warnings.some(({ code }) => code !== 'NOT_FOUND')) throw new Error(JSON.stringify(warnings))
		return registry.watchers
	}
	return { store, path, watchers, ids: () => Object.keys(watchers()).sort() }
}

/** A registry that is not there yet, in a folder of the test. */
const registryIn = (t, store) => registryAt(store, STORES[store](realpathSync(folder(t).dir)))

/** Runs a test with a registry in each store. */
export const forEachStore = (name, body) => {
	for (const store of Object.keys(STORES)) {
		test(`${store}: ${name}`, (t) => body(registryIn(t, store), t))
	}
	test(`etcd: ${name}`, { skip: skipWithoutEtcd }, async (t) =>
		body(registryAt('etcd', await newEtcdPath()), t),
	)
}

/** For tests of the folder alone. */
export const inFolder = (t) => registryIn(t, 'folder')

/** `app`, `app-2`, ... up to this number. */
export const suffixed = (count) =>
	Array.from({ length: count }, (_, n) => (n === 0 ? 'app' : `app-${n + 1}`))

const suffixOf = (id) => Number(id.slice('app-'.length) || 1)

export const bySuffix = (ids) => [...ids].sort((a, b) => suffixOf(a) - suffixOf(b))
