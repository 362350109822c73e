// Finds the files of the JavaScript tests.

import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** All test files in a folder of the repository and in its subfolders, as `folder/.../name`. */
export const testFiles = (folder) =>
	readdirSync(join(root, folder), { withFileTypes: true })
		.sort((a, b) => (a.name < b.name ? -1 : 1))
		.flatMap((entry) => {
			const path = `${folder}/${entry.name}`
			if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : testFiles(path)
			return entry.name.endsWith('.test.mjs') ? [path] : []
		})
