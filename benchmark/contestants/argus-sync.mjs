import { createRequire } from 'node:module'

const { updateRegistrySync } = createRequire(import.meta.url)('../../index.js')

export const create =
	({ durable }) =>
	(path, updater) =>
		updateRegistrySync(path, updater, { durable })
