import { countingBeats } from '../registry-file.mjs'
import { argus } from './argus.mjs'

export { countBeats, createReader, hold, prepare } from './argus.mjs'

/** With the whole record, as a running heartbeat does it. */
export const create = ({ durable }) =>
	countingBeats((path, record) => argus.heartbeatWatcher(path, record, { durable }))
