// The words that the project's texts do not use are found, and nothing else is.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findings } from '../scripts/words.mjs'

const found = (text) => findings(text).map(({ line, found }) => `${line}: ${found}`)

test('a word for a person is found in prose, in comments and in names', () => {
	assert.deepEqual(found('The holder lost his lock.\n// Nobody waits.'), ['1: his', '2: Nobody'])
	assert.deepEqual(found('fn somebody_waits() {}'), ['1: somebody'])
	assert.deepEqual(found('const isNobody = 1'), ['1: Nobody'])
	assert.deepEqual(found('/// whoever calls this; he waits'), ['1: whoever', '1: he'])
})

test('parts of other words are not found', () => {
	assert.deepEqual(
		found('The cache has this history; the other one. When? Here. shell, hisses'),
		[],
	)
})

test('the user that systems call nobody is not found', () => {
	assert.deepEqual(found('const NOBODY = 65_534 // the user `nobody`'), [])
})

test('"the same" is found where the noun is missing', () => {
	for (const text of [
		'The first is fast, the second does the same.',
		'It is (for a name, the same) read.',
		'/// The same for a name that was resolved.',
		'It reads. The same at once, blocking the thread.',
		'/** The same, for Bun. */',
		'one and the same',
		'// Deno goes on, the same\n// for Bun.',
	]) {
		assert.equal(found(text).length, 1, text)
	}
})

test('"the same" before its noun, or in a comparison, is not found', () => {
	for (const text of [
		'Both have the same lock.',
		'The same lock file serves both.',
		'The text is the same as before.',
		'// Both take the same\n// lock.',
		'Two opens of the same `path` exclude each other.',
	]) {
		assert.deepEqual(found(text), [], text)
	}
})
