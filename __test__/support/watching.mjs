// What tests of watching have in common.

import assert from 'node:assert/strict'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { watchRegistry } from '../../index.js'
import { cleanUp } from './cleanup.mjs'
import { EMPTY, print } from './folder.mjs'

/** Replaces a file as another program would: no reader sees half of it. */
export const replace = (path, text) => {
	writeFileSync(`${path}.other`, text)
	renameSync(`${path}.other`, path)
}

export const count = (value) => print({ ...EMPTY, count: value })

export const put = (path, value) => {
	mkdirSync(dirname(path), { recursive: true })
	replace(path, count(value))
}

/** A watch, closed with the test, and ways to wait for what it delivers. */
export const watching = (t, path, options) => {
	const watch = watchRegistry(path, options)
	cleanUp(t, () => watch.return())
	const next = async () => {
		const { done, value } = await watch.next()
		assert.equal(done, false)
		return value
	}
	/** Skips states in between, which may be merged or not. */
	const until = async (value) => {
		while ((await next()).count !== value);
	}
	return { watch, next, until }
}

/** Fails for a value that is no empty registry. */
export const isEmpty = ({ updatedAt, ...rest }) => {
	assert.equal(typeof updatedAt, 'number')
	assert.deepEqual(rest, { version: 1, watchers: {} })
}
