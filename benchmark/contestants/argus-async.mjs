import { createRequire } from 'node:module'

const { updateRegistry } = createRequire(import.meta.url)('../../index.js')

export const create =
	({ durable }) =>
	(path, updater) =>
		updateRegistry(path, updater, { durable })
