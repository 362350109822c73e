// A mirror whose events can't be taken for a while, and one that ends without having been stopped.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { cleanUp } from '../support/cleanup.mjs'
import { inFolder } from '../support/stores.mjs'

const require = createRequire(import.meta.url)
const { mirrorRegistry } = require('../../lib/index.js')
const native = require('../../lib/addon/load.js')

const failure = { failed: true, code: 'IO', message: 'no thread', path: 'p' }

/** Starts a mirror whose addon gives these events, one for each call, and no more after that. */
const startWith = (t, events) => {
	const start = native.mirrorRegistry
	native.mirrorRegistry = () => ({
		next: () => Promise.resolve(events.length > 0 ? events.shift() : null),
		stop: () => Promise.resolve(null),
	})
	cleanUp(t, () => {
		native.mirrorRegistry = start
	})
	const at = inFolder(t)
	const errors = []
	const file = join(dirname(at.path), 'mirror.json')
	const mirror = mirrorRegistry(at.path, file, { onError: (error) => errors.push(error) })
	return { mirror, errors, file }
}

const codes = (errors) => errors.map(({ code }) => code)

/** It was not told: `working` was true, and the file stayed as it was. */
test('a mirror that ends by itself is told to onError', async (t) => {
	const { mirror, errors, file } = startWith(t, [{ working: true }])
	assert.equal(await mirror.working, true)
	await new Promise(setImmediate)
	assert.deepEqual(codes(errors), ['INTERNAL'])
	assert.equal(errors[0].name, 'RegistryError')
	assert.equal(errors[0].path, file)
	assert.match(errors[0].message, /has ended by itself; please report it/)
	await mirror.stop()
	assert.equal(errors.length, 1)
})

/** After the first one no failure was told any more, and `working` became false. */
test('events that could not be taken once are taken later', async (t) => {
	const later = { failure: { ...failure, code: 'ID_TAKEN' } }
	const { mirror, errors } = startWith(t, [failure, { working: true }, later])
	assert.equal(await mirror.working, true)
	await mirror.stop()
	assert.deepEqual(codes(errors), ['IO', 'ID_TAKEN'])
})

test('stopping a mirror whose events can not be taken does not wait for the next try', async (t) => {
	const { mirror, errors } = startWith(t, [failure, failure])
	await new Promise(setImmediate)
	await mirror.stop()
	assert.equal(await mirror.working, false)
	assert.deepEqual(codes(errors), ['IO', 'IO'])
})
