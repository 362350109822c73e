// The programs of docs/how-to/sharing-your-own-file.md do what the page says.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { folder } from '../support/folder.mjs'
import { page, start } from '../support/page-programs.mjs'

const IMPORT = "import { Document } from 'argus-registry'\n"

const blocks = [
	...page('docs/how-to/sharing-your-own-file.md').matchAll(/^```js\n([\s\S]*?)^```$/gm),
].map(([, code]) => (code.startsWith('import') ? code : IMPORT + code))

/** Runs the one block that has a text, in a folder. */
const run = async (t, at, text) => {
	const found = blocks.filter((code) => code.includes(text))
	assert.equal(found.length, 1, text)
	// In a text of JavaScript a backslash would have to be doubled.
	const code = found[0].replaceAll('/home/me/.argus', at.dir.replaceAll('\\', '/'))
	assert.equal(await start(t, at, 'program.mjs', code).end, 0)
}

const json = (at, name) => JSON.parse(readFileSync(join(at.dir, name), 'utf8'))

const names = (at) =>
	readdirSync(at.dir)
		.filter((name) => name !== 'program.mjs')
		.sort()

test('a document of the caller’s own has a lock file', async (t) => {
	const at = folder(t)
	await run(t, at, "new Document('settings.json'")
	assert.deepEqual(json(at, 'settings.json'), { theme: 'dark' })
	assert.deepEqual(names(at), ['settings.json', 'settings.lock'])
})

test('a document that older argus versions update has a guard', async (t) => {
	const at = folder(t)
	await run(t, at, "lock: 'registry'")
	assert.deepEqual(json(at, 'config.json'), { theme: 'dark' })
	assert.deepEqual(names(at), ['config.json', 'config.json.guard'])
})

test('a lock file alone stays', async (t) => {
	const at = folder(t)
	await run(t, at, 'tryLockExclusive')
	assert.deepEqual(names(at), ['build.lock'])
})
