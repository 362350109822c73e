import { createRequire } from 'node:module'
import { beats } from '../registry-file.mjs'

const { announceWatcher } = createRequire(import.meta.url)('../../index.js')

export const create = ({ durable, index }) => {
	const next = beats(index)
	return (path) => announceWatcher(path, next(path), { durable })
}
