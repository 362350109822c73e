// Reads a JSON file that other processes replace by renaming, with nothing but Node.

import { readFile } from 'node:fs/promises'
import { checkedWatchers } from '../registry-file.mjs'

export const createReader = () => async (path) => {
	const { watchers } = JSON.parse(await readFile(path, 'utf8'))
	checkedWatchers(Object.keys(watchers).length)
}
