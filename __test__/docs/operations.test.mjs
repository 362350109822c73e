// The program of docs/how-to/operations.md does what the page says.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { folder } from '../support/folder.mjs'
import { page, start } from '../support/page-programs.mjs'
import { skipIf } from '../support/skip.mjs'

const [, code] = /`leaving\.mjs`:\n\n```js\n([\s\S]*?)^```$/m.exec(
	page('docs/how-to/operations.md'),
)

const skip = skipIf(process.platform === 'win32', 'on Windows a signal ends a process at once')

test('programs that get SIGTERM end by themselves, with a last update, and leave no lock', {
	skip,
}, async (t) => {
	const at = folder(t)
	const programs = [1, 2].map(() => start(t, at, 'leaving.mjs', code))
	for (const { line } of programs) assert.equal(await line, 'at work')
	for (const { kill, end } of programs) {
		kill('SIGTERM')
		assert.equal(await end, 0)
	}
	const { left, turns } = at.json()
	assert.ok(turns >= 1)
	assert.equal(left, programs[1].pid)
	assert.deepEqual(at.others(), ['leaving.mjs'])
})

test('a program that calls process.exit() in the middle of an update makes its last one, too', {
	skip,
}, async (t) => {
	const at = folder(t)
	const exiting = code.replace('() => leaving.abort()', '() => process.exit(3)')
	const { pid, line, kill, end } = start(t, at, 'leaving.mjs', exiting)
	assert.equal(await line, 'at work')
	kill('SIGTERM')
	assert.equal(await end, 3)
	assert.equal(at.json().left, pid)
	assert.deepEqual(at.others(), ['leaving.mjs'])
})
