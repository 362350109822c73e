// Codecs for tests, and the calls that take one.

import assert from 'node:assert/strict'
import { updateRegistry, updateRegistrySync, withRegistryLock, writeRegistry } from '../../index.js'

export const same = (value) => value

/** Not JSON: one line per item. */
export const lines = {
	decode: (text) => {
		if (!text.startsWith('#')) throw new Error('no header')
		return text.split('\n').slice(1)
	},
	encode: (list) => ['#', ...list].join('\n'),
	empty: () => [],
}

/** The same update, asynchronous and synchronous. */
export const updates = {
	updateRegistry,
	updateRegistrySync: async (...args) => updateRegistrySync(...args),
}

/** Every call that writes `value`. */
export const writes = (value) => ({
	updateRegistry: (path, options) => updateRegistry(path, () => value, options),
	updateRegistrySync: async (path, options) => updateRegistrySync(path, () => value, options),
	writeRegistry: (path, options) => writeRegistry(path, value, options),
	withRegistryLock: (path, options) => withRegistryLock(path, (lock) => lock.write(value), options),
})

export const caught = (promise) =>
	promise.then(
		() => assert.fail('resolved'),
		(error) => error,
	)
