// The programs of README.md and docs/tutorial.md do what these pages say.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder } from '../support/folder.mjs'
import { page, start } from '../support/page-programs.mjs'
import { skipIf } from '../support/skip.mjs'

/** The tutorial's programs by their names. */
const programs = new Map(
	[...page('docs/tutorial.md').matchAll(/`([\w-]+\.mjs)`[^`]*```js\n([\s\S]*?)^```$/gm)].map(
		([, name, code]) => [name, code],
	),
)

test('the example of the README leaves a valid registry', async (t) => {
	const at = folder(t)
	const [, code] = /```js\n([\s\S]*?)^```$/m.exec(page('README.md'))
	assert.equal(await start(t, at, 'example.mjs', code).end, 0)
	const { version, updatedAt, watchers } = at.json()
	assert.equal(version, 1)
	assert.equal(typeof updatedAt, 'number')
	const { app, ...others } = watchers
	assert.deepEqual(others, {})
	const fields = ['id', 'host', 'port', 'pid', 'startedAt', 'updatedAt', 'pidScope']
	assert.deepEqual(Object.keys(app), fields)
	assert.equal(app.port, 9223)
})

test('two watchers of the tutorial get two ids, and remove their entries at the end', {
	skip: skipIf(process.platform === 'win32', 'on Windows a signal ends a process at once'),
}, async (t) => {
	const at = folder(t)
	const code = programs.get('watcher.mjs')
	const watchers = [1, 2].map(() => start(t, at, 'watcher.mjs', code))
	const lines = await Promise.all(watchers.map(({ line }) => line))
	const ids = lines.map((line) => /^process \d+ is watcher (.+)$/.exec(line)[1])
	assert.deepEqual([...ids].sort(), ['app', 'app-2'])
	assert.deepEqual(at.ids().sort(), ['app', 'app-2'])
	for (const { kill } of watchers) kill('SIGINT')
	for (const { end } of watchers) assert.equal(await end, 0)
	assert.deepEqual(at.ids(), [])
})

test('two processes of the tutorial count to 2,000 together', async (t) => {
	const at = folder(t)
	const code = programs.get('count.mjs')
	const counters = [1, 2].map(() => start(t, at, 'count.mjs', code))
	for (const { end } of counters) assert.equal(await end, 0)
	assert.equal(at.json().count, 2000)
	assert.equal(await start(t, at, 'once.mjs', programs.get('once.mjs')).end, 0)
	assert.equal(at.json().note, 'changed')
})
