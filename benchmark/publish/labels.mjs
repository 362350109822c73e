// What the contestants are called in tables and pictures, and how pictures draw them.

import { seriesColours } from './palette.mjs'

/**
 * Shapes in the order of the colours: lines must be told apart without their colours, too. The first
 * is that of `copy`, which is in no picture with proper-lockfile.
 */
const SHAPES = [
	...['triangle-down', 'circle', 'square', 'diamond', 'triangle-up', 'cross'],
	...['triangle-down', 'triangle-right', 'triangle-left'],
]

const labels = {
	floor: ['system calls alone', 0],
	copy: ['read, write, rename', 0],
	'argus-sync': ['updateRegistrySync', 1],
	'argus-async': ['updateRegistry', 2],
	'argus-heartbeat': ['heartbeatWatcher', 3],
	'argus-announce': ['announceWatcher', 3],
	'crate-update': ['Rust: update_registry', 4],
	'crate-heartbeat': ['Rust: heartbeat_watcher', 4],
	'crate-announce': ['Rust: announce_watcher', 4],
	'older-argus': ['older argus', 5],
	'proper-lockfile': ['proper-lockfile', 6],
	sqlite: ['SQLite', 7],
	lmdb: ['LMDB', 8],
}

export const nameOf = (base) => labels[base][0]
export const colourOf = (base) => seriesColours[labels[base][1]]
export const shapeOf = (base) => SHAPES[labels[base][1]]
export const allBases = Object.keys(labels).filter((base) => base !== 'copy')

/** A name with its durability, for a table that has durable and other rows. */
export const fullName = (contestant) => {
	const base = contestant.replace(/-durable$/, '')
	return base === contestant ? nameOf(base) : `${nameOf(base)}, durable`
}

/** The machine and the kind of run that the numbers come from, in one line. */
export const originOf = ({ machine, settings }) => {
	const { cpu, cores, system, disk, node } = machine
	const quick = settings.quick ? ' A quick run, of one round: not for judging.' : ''
	return `${cpu}, ${cores} cores, ${system}, ${disk}, Node ${node}.${quick}`
}
