// Puts the tables that commands print into pages.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const platformsPage = fileURLToPath(new URL('../docs/platforms.md', import.meta.url))

/** Replaces the table of a command on a page. */
export const writeTable = (command, table, page = platformsPage) => {
	const text = readFileSync(page, 'utf8')
	const [begin, end] = [`<!-- begin ${command} -->`, `<!-- end ${command} -->`]
	const [before, rest] = text.split(begin)
	const after = rest?.split(end)[1]
	if (after === undefined) throw new Error(`${page} has no place for the table of ${command}`)
	writeFileSync(`${page}.new`, `${before}${begin}\n\n${table}\n\n${end}${after}`)
	renameSync(`${page}.new`, page)
}
