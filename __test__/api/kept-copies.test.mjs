// The copies of content that could not be read when an update replaced it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { announceWatcher, updateRegistry } from '../../index.js'
import { cleanUp } from '../support/cleanup.mjs'
import { documentIn, LOCKS, lists, push } from '../support/documents.mjs'
import { folder, record } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { asCommand, importPackage } from '../support/script.mjs'

/** As docs/reference/files.md says. */
const MOST_COPIES = 8

const copies = (at) => at.others().filter((name) => name.includes('.corrupt-'))

const contents = (at) => copies(at).map((name) => readFileSync(join(at.dir, name), 'utf8'))

/** Replaces bad content; returns the warning. */
const replace = async (
	at,
	text,
	update = (options) => announceWatcher(at.path, record('a'), options),
) => {
	at.put(text)
	const warnings = []
	await update({
		...DOCUMENT_UP_TO_A_MINUTE,
		durable: false,
		onWarning: (warning) => warnings.push(warning),
	})
	assert.equal(warnings.length, 1)
	return warnings[0]
}

test('the newest copies are kept, each content once, and no other file is touched', async (t) => {
	const at = folder(t)
	mkdirSync(join(at.dir, 'registry.json.corrupt-1-01234567'))
	symlinkSync('nowhere', join(at.dir, 'registry.json.corrupt-2-01234567'))
	const others = copies(at)
	for (let n = 0; n < MOST_COPIES + 4; n += 1) {
		const last = await replace(at, `bad ${n}`)
		assert.equal(readFileSync(last.kept, 'utf8'), `bad ${n}`)
		const again = await replace(at, `bad ${n}`)
		assert.equal(readFileSync(again.kept, 'utf8'), `bad ${n}`)
	}
	const names = copies(at)
	assert.equal(names.length, MOST_COPIES + others.length)
	for (const other of others) assert.ok(names.includes(other))
	const kept = names.filter((name) => !others.includes(name))
	const expected = Array.from({ length: MOST_COPIES }, (_, n) => `bad ${n + 4}`)
	const texts = kept.map((name) => readFileSync(join(at.dir, name), 'utf8'))
	assert.deepEqual(texts.sort(), expected.sort())
})

for (const [kind, update] of [
	[
		'updateRegistry',
		(at, options) => updateRegistry(at.path, (registry) => ({ ...registry, x: 1 }), options),
	],
	['announceWatcher', (at, options) => announceWatcher(at.path, record('a'), options)],
]) {
	test(`${kind}: of an empty file there is nothing to keep, and the warning says so`, async (t) => {
		const at = folder(t)
		const warning = await replace(at, '', (options) => update(at, options))
		assert.deepEqual([warning.code, warning.kept], ['CORRUPT', undefined])
		assert.match(warning.message, /empty/)
		assert.deepEqual(at.others(), [])
	})
}

for (const lock of LOCKS) {
	test(`${lock}: a document's copies are bounded too`, async (t) => {
		const at = folder(t)
		for (let n = 0; n < MOST_COPIES + 2; n += 1) {
			const document = (onWarning) => documentIn(at, lock, { ...lists, onWarning })
			await replace(at, `bad ${n}`, ({ onWarning }) =>
				document(onWarning).update(push(n), DOCUMENT_UP_TO_A_MINUTE),
			)
		}
		assert.equal(contents(at).length, MOST_COPIES)
		assert.ok(contents(at).includes(`bad ${MOST_COPIES + 1}`))
	})
}

test('several processes together keep no more copies, and each content once', {
	timeout: 120_000,
}, async (t) => {
	const at = folder(t)
	const children = ['a', 'b', 'c'].map((name) => {
		const { command, remove } = asCommand(`${importPackage}
			import { writeFileSync } from 'node:fs'
			const path = ${JSON.stringify(at.path)}
			for (let n = 0; n < 40; n += 1) {
				writeFileSync(path, ${JSON.stringify(name)} + n + ' {')
				const options = { timeoutMs: 60_000, durable: false, onWarning: () => {} }
				await registry.updateRegistry(path, (value) => ({ ...value, updatedAt: n }), options)
			}`)
		cleanUp(t, remove)
		return spawn(command[0], command.slice(1), { stdio: ['ignore', 'ignore', 'inherit'] })
	})
	const ends = await Promise.all(children.map((child) => once(child, 'exit')))
	assert.deepEqual(
		ends.map(([code]) => code),
		[0, 0, 0],
	)
	assert.ok(copies(at).length <= MOST_COPIES && copies(at).length > 0, copies(at).join())
	assert.equal(new Set(contents(at)).size, contents(at).length)
})
