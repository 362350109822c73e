// Calls that are done on the calling thread, and the turns of the event loop between them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { updateRegistry, writeRegistry } from '../../index.js'
import { EMPTY, folder } from '../support/folder.mjs'
import { skipIf } from '../support/skip.mjs'

const NOT_DURABLE = { durable: false }
const count = (registry) => ({ ...registry, updatedAt: registry.updatedAt + 1 })
const skip = skipIf(process.platform === 'win32', 'on Windows all is done on other threads')
const unlessWindows = { skip }

/** Whether the event loop turned while the call was under way. */
const takesTurn = async (call) => {
	let turned = false
	setImmediate(() => {
		turned = true
	})
	await call()
	return turned
}

/** After a call that took long, other threads do the next ones: on a busy machine that may be any call. */
const MAX_TRIES = 200

/** Whether one of many calls needs no turn of the event loop. */
const canDoWithoutTurn = async (call) => {
	for (let tries = 0; tries < MAX_TRIES; tries += 1) {
		if (!(await takesTurn(call))) return true
	}
	return false
}

test(
	'an update with a free lock and a local file needs no turn of the event loop',
	unlessWindows,
	async (t) => {
		const at = folder(t)
		// The first call makes the guard, and looks for what a crash may have left.
		await writeRegistry(at.path, EMPTY, NOT_DURABLE)
		assert.ok(await canDoWithoutTurn(() => updateRegistry(at.path, count, NOT_DURABLE)))
		assert.ok(await canDoWithoutTurn(() => writeRegistry(at.path, EMPTY, NOT_DURABLE)))
	},
)

test('a durable update waits for the disk on another thread', async (t) => {
	const at = folder(t)
	await writeRegistry(at.path, EMPTY, NOT_DURABLE)
	assert.equal(await takesTurn(() => updateRegistry(at.path, count)), true)
	assert.equal(at.json().updatedAt, 1)
})

test('update after update lets timers fire', async (t) => {
	const at = folder(t)
	await writeRegistry(at.path, EMPTY, NOT_DURABLE)
	let isOver = false
	setTimeout(() => {
		isOver = true
	}, 1)
	let updates = 0
	// 1,000 updates take longer than the timer.
	while (!isOver && updates < 1_000) {
		await updateRegistry(at.path, count, NOT_DURABLE)
		updates++
	}
	assert.ok(isOver)
	assert.equal(at.json().updatedAt, updates)
})
