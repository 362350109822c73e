// The pages of the documentation, as they are in the repository.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

const AT_THE_ROOT = [
	'README.md',
	'ARCHITECTURE.md',
	'CONTRIBUTING.md',
	'CHANGELOG.md',
	'RELEASING.md',
]

const pagesIn = (folder) =>
	readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
		const path = `${folder}/${entry.name}`
		if (entry.isDirectory()) return pagesIn(path)
		return entry.name.endsWith('.md') ? [path] : []
	})

/** Every page: its path in the repository, and its text. */
export const pages = () =>
	[...AT_THE_ROOT, ...pagesIn('docs')].map((path) => ({
		path,
		text: readFileSync(join(root, path), 'utf8'),
	}))
