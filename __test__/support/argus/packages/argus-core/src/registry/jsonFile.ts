// Stands for what argus-core has for other JSON files: its own writing, under the registry's kind of lock.

import fs from 'node:fs/promises'
import { withRegistryLock } from './lock.js'

export const updateJsonFile = async <T>(
	file: string,
	empty: T,
	updater: (current: T) => T,
): Promise<T> =>
	withRegistryLock(async () => {
		const text = await fs.readFile(file, 'utf8').catch(() => undefined)
		const next = updater(text === undefined ? empty : (JSON.parse(text) as T))
		await fs.writeFile(`${file}.new`, JSON.stringify(next))
		await fs.rename(`${file}.new`, file)
		return next
	}, file)
