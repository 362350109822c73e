// What the addon's contestants have in common.

import { createRequire } from 'node:module'
import { checkedWatchers, jsonFile } from '../registry-file.mjs'

export const argus = createRequire(import.meta.url)('../../index.js')

export const { prepare, countBeats } = jsonFile

export const createReader = () => async (path) => {
	const { registry, warnings } = await argus.readRegistry(path)
	if (warnings.length > 0) throw Object.assign(new Error(warnings[0].message), { code: 'TORN' })
	checkedWatchers(Object.keys(registry.watchers).length)
}

/** Takes the lock, says so, and never lets go. */
export const hold = (path, say) =>
	argus.updateRegistry(path, () => {
		say()
		return new Promise(() => {})
	})
