// docs/reference/errors.md has a section for each code of an error, and no other.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const read = (path) => readFileSync(join(root, path), 'utf8')

const found = (text, pattern) => [...text.matchAll(pattern)].map(([, code]) => code).sort()

/** The text from one mark to the next. */
const between = (text, begin, end) => {
	const from = text.indexOf(begin)
	assert.ok(from >= 0, `${begin} is there`)
	return text.slice(from, text.indexOf(end, from))
}

test('the page has a section for each code of an error', () => {
	const rust = found(
		between(read('src/error.rs'), 'pub fn code(&self)', '\n    }\n'),
		/=> "([A-Z_]+)"/g,
	)
	const javascript = found(
		between(read('index.d.ts'), 'export type RegistryErrorCode', '\n\n'),
		/\| '([A-Z_]+)'/g,
	)
	const codes = [...new Set([...rust, ...javascript])].sort()
	assert.ok(rust.length > 10 && javascript.length > 10, 'the codes are found in the sources')
	assert.deepEqual(found(read('docs/reference/errors.md'), /^### `([A-Z_]+)`$/gm), codes)
})
