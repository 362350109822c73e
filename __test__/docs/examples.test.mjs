// A block of code on a page that names a file of this repository is that file.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { pages, root } from '../support/pages.mjs'

test('a block that names a file has that file’s content', () => {
	const blocks = pages().flatMap(({ text }) => [
		...text.matchAll(/^<!-- file: (\S+) -->\n```\w+\n([\s\S]*?)^```$/gm),
	])
	assert.ok(blocks.length > 0, 'the blocks are found')
	for (const [, file, code] of blocks) {
		assert.equal(code, readFileSync(join(root, file), 'utf8'), file)
	}
})
