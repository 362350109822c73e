// Registries as values: the pure helpers.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
	createEmptyRegistry,
	listWatchers,
	removeWatcherEntry,
	setWatcherEntry,
} from '../../index.js'
import { record } from '../support/folder.mjs'

test('the pure helpers change nothing that they are given, and are safe for any id', () => {
	const empty = createEmptyRegistry(1)
	for (const id of ['__proto__', 'constructor', 'app']) {
		assert.equal(removeWatcherEntry(empty, id), empty)
		const one = setWatcherEntry(empty, record(id), 2)
		assert.deepEqual([Object.keys(one.watchers), one.updatedAt], [[id], 2])
		assert.equal(Object.getPrototypeOf(one.watchers), Object.prototype)
		assert.deepEqual(listWatchers(one).length, 1)
		const two = setWatcherEntry({ ...one, note: 7 }, record(id, { port: 1 }), 3)
		assert.deepEqual([Object.values(two.watchers)[0].port, two.note], [1, 7])
		assert.equal(Object.values(one.watchers)[0].port, 9222)
		assert.deepEqual(removeWatcherEntry(two, id, 4), { ...createEmptyRegistry(4), note: 7 })
	}
	const odd = JSON.parse(
		'{"version":1,"updatedAt":0,"watchers":{"a":null,"b":[],"__proto__":{"id":"x"}}}',
	)
	assert.deepEqual(listWatchers(odd), [{ id: 'x' }])
	assert.deepEqual(Object.keys(removeWatcherEntry(odd, 'a').watchers), ['b', '__proto__'])
	assert.deepEqual(Object.keys(removeWatcherEntry(odd, '__proto__').watchers), ['a', 'b'])
	assert.deepEqual(empty, createEmptyRegistry(1))
	const before = Date.now()
	assert.ok(setWatcherEntry(empty, record('a')).updatedAt >= before)
})
