// The parts of a run, in the order in which they run.

import * as concurrent from './parts/concurrent.mjs'
import * as endurance from './parts/endurance.mjs'
import * as etcd from './parts/etcd.mjs'
import * as folder from './parts/folder.mjs'
import * as oneProcess from './parts/one-process.mjs'
import * as processes from './parts/processes.mjs'
import * as readers from './parts/readers.mjs'
import * as recovery from './parts/recovery.mjs'
import * as sizes from './parts/sizes.mjs'
import * as startUp from './parts/start-up.mjs'
import * as waiting from './parts/waiting.mjs'
import * as watchers from './parts/watchers.mjs'

export const parts = {
	'start-up': startUp,
	recovery,
	waiting,
	sizes,
	folder,
	etcd,
	concurrent,
	'one-process': oneProcess,
	processes,
	watchers,
	readers,
	endurance,
}
