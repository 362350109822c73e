// Puts the tables that the release commands print into docs/platforms.md.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'

const page = join(root, 'docs', 'platforms.md')

/** Replaces the table of a command on the page. */
export const writeTable = (command, table) => {
	const text = readFileSync(page, 'utf8')
	const [begin, end] = [`<!-- begin ${command} -->`, `<!-- end ${command} -->`]
	const [before, rest] = text.split(begin)
	const after = rest?.split(end)[1]
	if (after === undefined) throw new Error(`${page} has no place for the table of ${command}`)
	writeFileSync(`${page}.new`, `${before}${begin}\n\n${table}\n\n${end}${after}`)
	renameSync(`${page}.new`, page)
}
