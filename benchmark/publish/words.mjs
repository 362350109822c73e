// What the contestants are called where people read about them.

const known = {
	floor: ['system calls alone', 0],
	copy: ['read, write, rename', 0],
	'argus-sync': ['updateRegistrySync', 1],
	'argus-async': ['updateRegistry', 2],
	'argus-heartbeat': ['heartbeatWatcher', 3],
	'argus-announce': ['announceWatcher', 3],
	'crate-update': ['Rust: update_registry', 4],
	'crate-heartbeat': ['Rust: heartbeat_watcher', 4],
	'seed-lock': ['lock of the seed', 5],
	'proper-lockfile': ['proper-lockfile', 6],
	sqlite: ['SQLite', 7],
	lmdb: ['LMDB', 8],
}

export const nameOf = (base) => known[base][0]
export const colourOf = (base) => known[base][1]
export const allBases = Object.keys(known).filter((base) => base !== 'copy')

/** A name with its durability, as in a table that has both. */
export const fullName = (contestant) => {
	const base = contestant.replace(/-durable$/, '')
	return base === contestant ? nameOf(base) : `${nameOf(base)}, durable`
}

export const where = ({ machine, settings }) => {
	const { cpu, cores, system, disk, node } = machine
	const how = settings.quick ? ' A quick run, of one round: not for judging.' : ''
	return `${cpu}, ${cores} cores, ${system}, ${disk}, Node ${node}.${how}`
}
