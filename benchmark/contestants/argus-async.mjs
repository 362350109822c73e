import { argus } from './argus.mjs'

export { countBeats, createReader, hold, prepare } from './argus.mjs'

export const create =
	({ durable }) =>
	(path, beat) =>
		argus.updateRegistry(path, beat.inRegistry, { durable })
