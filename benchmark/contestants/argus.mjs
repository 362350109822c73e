// Shared by the contestants that call the addon.

import { createRequire } from 'node:module'
import { checkedWatchers, jsonFile } from '../registry-file.mjs'

export const argus = createRequire(import.meta.url)('../../index.js')

export const { prepare, countBeats } = jsonFile

export const createReader = () => async (path) => {
	const { registry, warnings } = await argus.readRegistry(path)
	if (warnings.length > 0) throw Object.assign(new Error(warnings[0].message), { code: 'TORN' })
	checkedWatchers(Object.keys(registry.watchers).length)
}

export const hold = (path, whenHeld) =>
	argus.updateRegistry(path, () => {
		whenHeld()
		return new Promise(() => {})
	})
