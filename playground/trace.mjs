// Where counted updates leave their trace: in a file, in a member of the registry, since unknown fields are kept.
// A folder keeps nothing but entries, so there it is an entry that belongs to no watcher.

import { sep } from 'node:path'

const NAME = 'playground'

/** The trace in a registry; undefined before the first counted update. */
export const traceIn = ({ watchers, ...others }) => others[NAME] ?? watchers[NAME]

/** The trace in a registry, for an update of what is at that path. */
export const traceFor = (registry, path) => {
	const holder = path.endsWith(sep) ? registry.watchers : registry
	holder[NAME] ??= { sequence: 0, counts: {} }
	return holder[NAME]
}

/** The ids of the watchers' entries. */
export const watcherIds = ({ watchers }) => Object.keys(watchers).filter((id) => id !== NAME)
