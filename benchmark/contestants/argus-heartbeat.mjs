import { createRequire } from 'node:module'
import { beats } from '../registry-file.mjs'

const { heartbeatWatcher } = createRequire(import.meta.url)('../../index.js')

/** By the whole record, as a running heartbeat does it. */
export const create = ({ durable, index }) => {
	const next = beats(index)
	return (path) => heartbeatWatcher(path, next(path), { durable })
}
