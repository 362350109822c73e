// A path of etcd is no file: without the store's package it is refused, and nothing is created.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { claimWatcher, readRegistrySync, updateRegistry, watchRegistry } from '../../index.js'
import { record } from '../support/folder.mjs'

test('a path of etcd is refused, and the message names what has the store', async () => {
	const path = 'etcd://127.0.0.1:2379/argus'
	const refused = {
		name: 'RegistryError',
		code: 'UNSUPPORTED',
		path,
		message: /argus-registry-etcd/,
	}
	const never = () => assert.fail('it must not run')
	assert.throws(() => readRegistrySync(path), refused)
	await assert.rejects(updateRegistry(path, never), refused)
	await assert.rejects(claimWatcher(path, record('app')), refused)
	assert.throws(() => watchRegistry(path), refused)
	assert.equal(existsSync('etcd:'), false)
})
