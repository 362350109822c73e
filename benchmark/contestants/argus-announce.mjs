import { countingBeats } from '../registry-file.mjs'
import { argus } from './argus.mjs'

export { countBeats, createReader, hold, prepare } from './argus.mjs'

export const create = ({ durable }) =>
	countingBeats((path, record) => argus.announceWatcher(path, record, { durable }))
