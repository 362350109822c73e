// Updates that have to run again, since their batch lost the lock, wait for another hold. They had neither timeout nor
// abort then: they waited as long as the first of them did.

import assert from 'node:assert/strict'
import { unlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { updateRegistry } from '../../index.js'
import { EMPTY, folder, print } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'

const push = (item) => (registry) => ({ ...registry, list: [...(registry.list ?? []), item] })

/**
 * Three updates, of which the first loses the lock to what `rob` does, one has a short timeout and one is aborted.
 * Resolves when those two have failed; `first` settles afterwards.
 */
const threeOf = async (at, rob, again) => {
	let runs = 0
	const aborter = new AbortController()
	const first = updateRegistry(
		at.path,
		(registry) => {
			runs += 1
			if (runs > 1) return again(push('first')(registry))
			unlinkSync(at.lockfile)
			rob()
			// Not before they have run and wait again.
			setTimeout(() => aborter.abort(), 50)
			return push('first')(registry)
		},
		UP_TO_A_MINUTE,
	)
	const { signal } = aborter
	await Promise.all([
		assert.rejects(updateRegistry(at.path, push('late'), { timeoutMs: 200, durable: false }), {
			code: 'LOCK_TIMEOUT',
			path: at.path,
		}),
		assert.rejects(updateRegistry(at.path, push('aborted'), { ...UP_TO_A_MINUTE, signal }), {
			code: 'ABORTED',
			path: at.path,
		}),
	])
	return { first }
}

test('members that run again give up in time while the first one waits for the lock', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	// As an older argus does that takes the lock for stale, and holds it.
	const { first } = await threeOf(
		at,
		() => writeFileSync(at.lockfile, ''),
		(next) => next,
	)
	unlinkSync(at.lockfile)
	await first
	assert.deepEqual(at.json().list, ['first'])
})

test('members that run again give up in time while the updater before them takes its time', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	let goOn
	const mayEnd = new Promise((resolve) => {
		goOn = resolve
	})
	const { first } = await threeOf(
		at,
		() => {},
		(next) => mayEnd.then(() => next),
	)
	goOn()
	await first
	assert.deepEqual(at.json().list, ['first'])
})
