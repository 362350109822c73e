// The modules of lib/ use only modules of their own layer and of lower ones.

import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { modulesIn, violations } from './support/layers.mjs'

const lib = join(dirname(fileURLToPath(import.meta.url)), '..', 'lib')

test('no module of lib/ uses a higher layer, and none uses itself through others', () => {
	const modules = modulesIn(lib)
	assert.ok(Object.keys(modules).length >= 18, 'the modules are found')
	assert.deepEqual(violations(modules), [])
})

const requiring = (...names) => names.map((name) => `require('${name}')`).join('\n')

test('a module that uses a higher layer is reported', () => {
	const modules = {
		'errors.js': '',
		'codec/content.js': requiring('../options.js', '../errors.js', 'node:util'),
		'options.js': requiring('./codec/other.js'),
		'codec/other.js': requiring('../errors.js'),
	}
	assert.deepEqual(violations(modules), [
		'codec/content.js uses options.js, which is in a higher layer',
	])
})

test('a lazy require counts like any other', () => {
	const modules = {
		'errors.js': `const late = () => require("./api/update.js")`,
		'api/update.js': '',
	}
	assert.deepEqual(violations(modules), [
		'errors.js uses api/update.js, which is in a higher layer',
	])
})

test('modules of one layer that use each other are reported once', () => {
	const modules = {
		'locking/queue.js': requiring('./batch.js'),
		'locking/batch.js': requiring('./held-lock.js'),
		'locking/held-lock.js': requiring('./queue.js'),
	}
	assert.deepEqual(violations(modules), [
		'these modules use each other: locking/batch.js, locking/held-lock.js, locking/queue.js',
	])
})

test('a module outside of all layers, and a use of what is not there, are reported', () => {
	const modules = { 'helpers/strings.js': '', 'errors.js': requiring('./gone.js', '../index.js') }
	assert.deepEqual(violations(modules), [
		'helpers/strings.js is in no layer',
		'errors.js uses gone.js, which is not a module of lib',
		'errors.js uses ../index.js, which is not a module of lib',
	])
})
