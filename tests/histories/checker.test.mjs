// The judge itself: it accepts what can be explained, and finds what can't.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from './checker.mjs'

const NEVER = Number.POSITIVE_INFINITY
const swap = (calledAt, answeredAt, value, before) => ({
	calledAt,
	answeredAt,
	name: 'swap',
	value,
	answer: answeredAt === NEVER ? undefined : { before },
})
const read = (calledAt, answeredAt, value) => ({
	calledAt,
	answeredAt,
	name: 'read',
	answer: { value },
})
const accepts = (...operations) => assert.ok(judge(operations).isLinearizable)
const refuses = (...operations) => assert.ok(!judge(operations).isLinearizable)

test('calls in turn, each with the value of the one before', () => {
	accepts(swap(1, 2, 'a', null), swap(3, 4, 'b', 'a'), read(5, 6, 'b'))
})

test('calls that overlap have any order', () => {
	accepts(swap(1, 9, 'a', 'b'), swap(2, 8, 'b', null), read(3, 4, null))
})

test('a lost update', () => {
	refuses(swap(1, 2, 'a', null), swap(3, 6, 'b', 'a'), swap(4, 5, 'c', 'a'))
})

test('an acknowledged update that a later read does not find', () => {
	refuses(swap(1, 2, 'a', null), read(3, 4, null))
})

test('a value that comes back', () => {
	refuses(swap(1, 2, 'a', null), swap(3, 4, 'b', 'a'), read(5, 6, 'a'))
})

test('a read that sees the newer value before one that sees the older', () => {
	refuses(swap(1, 9, 'a', null), read(2, 3, 'a'), read(4, 5, null))
})

test('a killed call took effect late, or never', () => {
	accepts(swap(1, NEVER, 'a', undefined), read(2, 3, null), read(4, 5, 'a'))
	accepts(swap(1, NEVER, 'a', undefined), read(2, 3, null), read(4, 5, null))
	refuses(swap(1, NEVER, 'a', undefined), read(2, 3, 'a'), read(4, 5, null))
})

test('a count, a claim, a heartbeat and a removal say what was there', () => {
	const operation = (at, name, answer, value) => ({
		calledAt: at,
		answeredAt: at + 0.5,
		name,
		value,
		answer,
	})
	accepts(
		operation(1, 'count', { before: 0 }),
		operation(2, 'count', { before: 1 }),
		operation(3, 'heartbeat', { was: true }),
		operation(4, 'claim', { isTaken: true }),
		operation(5, 'remove', { was: true }),
		operation(6, 'heartbeat', { was: false }),
		operation(7, 'claim', { isTaken: false }, 'x'),
		operation(8, 'read', { value: 'x' }),
	)
	refuses(operation(1, 'count', { before: 0 }), operation(2, 'count', { before: 0 }))
	refuses(operation(1, 'claim', { isTaken: true }))
	refuses(operation(1, 'heartbeat', { was: true }))
	refuses(operation(1, 'announce', {}, 'x'), operation(2, 'remove', { was: false }))
})

test('a long history is judged soon', () => {
	const operations = []
	let before = null
	for (let index = 0; index < 600; index += 1) {
		// Three at a time overlap.
		const at = Math.floor(index / 3) * 10
		operations.push(swap(at + (index % 3), at + 9, index, before))
		before = index
	}
	accepts(...operations)
})
