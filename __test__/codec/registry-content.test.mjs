// The content of a registry: valid, corrupt, or written by a newer program.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	readRegistry,
	readRegistrySync,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { skipIf } from '../support/skip.mjs'

const touch = (registry) => ({ ...registry, updatedAt: registry.updatedAt + 1 })

test('every byte that JavaScript wrote survives', async (t) => {
	const at = folder(t)
	const value = JSON.parse(`{
		"zebra": 1e21, "version": 1, "updatedAt": 1, "small": 5e-324, "zero": -0,
		"watchers": {
			"__proto__": { "id": "__proto__", "later": { "unknown": [1, null, {}, []] } },
			"constructor": null,
			"10": 1, "2": 2,
			"\\ud800 alone": "\\udfff and \\ud83d\\ude00 and é and \\u2028 and \\u0000"
		},
		"apple": { "": "" }
	}`)
	at.put(print(value))
	const options = { durable: false }
	await updateRegistry(at.path, (r) => ({ ...r, updatedAt: 2 }), options)
	value.updatedAt = 2
	assert.equal(at.text(), print(value))
	updateRegistrySync(at.path, (r) => Object.assign(r, { updatedAt: 3 }), options)
	value.updatedAt = 3
	assert.equal(at.text(), print(value))
	const { registry, warnings } = readRegistrySync(at.path)
	assert.deepEqual(warnings, [])
	assert.equal(print(registry), print(value))
	assert.ok(Object.hasOwn(registry.watchers, '__proto__'))
})

const corrupt = {
	nothing: '',
	'half a file': print(EMPTY).slice(0, 20),
	'no object': '[]',
	'no watchers': '{"version":1,"updatedAt":0}',
	'another shape': '{"version":"1","updatedAt":0,"watchers":{}}',
	'an older version': '{"version":0,"updatedAt":0,"watchers":{}}',
	'bytes that are not UTF-8': Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
}

for (const [what, bytes] of Object.entries(corrupt)) {
	test(`corrupt (${what}): reads as empty with a warning; an update keeps the bytes`, async (t) => {
		const at = folder(t)
		at.put(bytes)
		for (const result of [await readRegistry(at.path), readRegistrySync(at.path)]) {
			assert.deepEqual(result.registry.watchers, {})
			assert.deepEqual(
				result.warnings.map(({ code, path }) => ({ code, path })),
				[{ code: 'CORRUPT', path: at.path }],
			)
		}
		const warnings = []
		const onWarning = (warning) => warnings.push(warning)
		// Nothing to write: nothing is replaced, so nothing has to be kept.
		await updateRegistry(at.path, (registry) => registry, { onWarning })
		assert.deepEqual(readFileSync(at.path), Buffer.from(bytes))
		assert.deepEqual([warnings, at.others()], [[], []])
		// Refused: the file still has the bad bytes, and there is no second copy of them.
		await assert.rejects(updateRegistry(at.path, () => 7, { onWarning }))
		assert.deepEqual([warnings, at.others()], [[], []])

		await updateRegistry(at.path, touch, { onWarning })
		assert.equal(readRegistrySync(at.path).warnings.length, 0)
		const [warning] = warnings
		assert.equal(warnings.length, 1)
		assert.equal(warning.code, 'CORRUPT')
		if (bytes.length === 0) {
			// There is nothing to keep.
			assert.deepEqual([at.others(), warning.kept], [[], undefined])
			return assert.match(warning.message, /empty/)
		}
		assert.deepEqual(at.others(), [warning.kept.slice(at.dir.length + 1)])
		assert.deepEqual(readFileSync(warning.kept), Buffer.from(bytes))
		assert.ok(warning.message.includes(`kept in ${warning.kept}`), warning.message)
	})
}

test('every kind of write keeps corrupt bytes, each time under a name of its own', async (t) => {
	const at = folder(t)
	const warnings = []
	const options = { onWarning: (warning) => warnings.push(warning), durable: false }
	const writes = [
		() => updateRegistry(at.path, touch, options),
		() => updateRegistrySync(at.path, touch, options),
		() => writeRegistry(at.path, EMPTY, options),
		() => withRegistryLock(at.path, (lock) => lock.write(EMPTY), options),
	]
	for (const [index, write] of writes.entries()) {
		at.put(`bad ${index}`)
		await write()
		assert.equal(readFileSync(warnings[index].kept, 'utf8'), `bad ${index}`)
	}
	assert.equal(at.others().length, writes.length)
})

test('of several writes that are not awaited only the first finds corrupt bytes to keep', async (t) => {
	const at = folder(t)
	for (let round = 1; round <= 10; round += 1) {
		at.put(`bad ${round}`)
		const warnings = []
		const onWarning = (warning) => warnings.push(warning)
		const write = (lock) => {
			for (let updatedAt = 1; updatedAt <= 3; updatedAt += 1) lock.write({ ...EMPTY, updatedAt })
		}
		await withRegistryLock(at.path, write, { onWarning, durable: false })
		assert.deepEqual(
			warnings.map(({ kept }) => readFileSync(kept, 'utf8')),
			[`bad ${round}`],
		)
		assert.equal(at.json().updatedAt, 3)
	}
	// No more copies are kept of one file.
	assert.equal(at.others().length, 8)
})

test('a warning callback that throws does not undo the update', async (t) => {
	const at = folder(t)
	at.put('bad')
	const warned = new Promise((resolve) => process.once('warning', resolve))
	const onWarning = () => {
		throw new Error('from the callback')
	}
	await updateRegistry(at.path, touch, { onWarning })
	assert.match((await warned).message, /from the callback/)
	assert.equal(readRegistrySync(at.path).warnings.length, 0)
})

test('without a callback the process emits the warning', async (t) => {
	const at = folder(t)
	at.put('bad')
	const warned = new Promise((resolve) => process.once('warning', resolve))
	updateRegistrySync(at.path, touch)
	const { name, code } = await warned
	assert.deepEqual({ name, code }, { name: 'RegistryWarning', code: 'CORRUPT' })
})

test('a newer version is refused and left untouched', async (t) => {
	const at = folder(t)
	const newer = '{"version":2,"watchers":{"a":[]},"something":"new"}'
	at.put(newer)
	const refused = { name: 'RegistryError', code: 'UNSUPPORTED_VERSION', path: at.path }
	await assert.rejects(updateRegistry(at.path, touch), refused)
	assert.throws(() => updateRegistrySync(at.path, touch), refused)
	await assert.rejects(writeRegistry(at.path, EMPTY), refused)
	await assert.rejects(
		withRegistryLock(at.path, (lock) => lock.write(EMPTY)),
		refused,
	)
	assert.equal(at.text(), newer)
	assert.deepEqual(at.others(), [])
	const { registry, warnings } = await readRegistry(at.path)
	assert.deepEqual(registry.watchers, {})
	assert.deepEqual(
		warnings.map((warning) => warning.code),
		['UNSUPPORTED_VERSION'],
	)
})

test('a missing file reads as empty with a warning; reading creates nothing', async (t) => {
	const at = folder(t)
	const path = join(at.dir, 'nowhere', 'registry.json')
	const { registry, warnings } = await readRegistry(path)
	assert.deepEqual([registry.version, registry.watchers], [1, {}])
	assert.deepEqual(
		warnings.map((warning) => warning.code),
		['NOT_FOUND'],
	)
	assert.deepEqual(at.others(), [])
})

test('a path through a file is an error, not an empty registry', {
	skip: skipIf(process.platform === 'win32', 'Windows tells only that there is no such path'),
}, async (t) => {
	const at = folder(t)
	writeFileSync(join(at.dir, 'file'), '')
	// With a separator at its end it would be a folder.
	await assert.rejects(readRegistry(join(at.dir, 'file', '/')), {
		name: 'RegistryError',
		code: 'IO',
	})
	const through = join(at.dir, 'file', 'registry.json')
	await assert.rejects(readRegistry(through), { name: 'RegistryError', code: 'IO' })
	const { cause } = await readRegistry(through).catch((error) => error)
	// As in Node's own errors.
	assert.deepEqual([cause.code, cause.errno], ['ENOTDIR', -constants.errno.ENOTDIR])
})
