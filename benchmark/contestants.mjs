// The contestants. Each is a Rust program, or a module with these functions:
//   prepare(path, registry)          stores the registry in the contestant's own format
//   create({ durable })              makes a function (path, beat): one locked update
//   createReader()                   makes a function (path): reads all watchers, or throws
//   countBeats(path)                 how many updates are stored
//   hold(path, whenHeld)             takes the lock, calls `whenHeld`, and never releases the lock
// Each may return a promise.

import { startProgram, startWorker } from './children.mjs'
import { jsonFile } from './registry-file.mjs'

const urlOf = (module) => new URL(`./contestants/${module}.mjs`, import.meta.url).href

const inNode = (base, module, traits = {}) => {
	const script = urlOf(module)
	return {
		base,
		script,
		load: () => import(script),
		start: (parameters) => startWorker({ script, role: 'write', ...parameters }),
		...traits,
	}
}

/** A Rust program on the JSON file. Its parameters and its result are those of a Node worker. */
const program = (base, example, parameters, traits) => ({
	base,
	isProgram: true,
	load: () => jsonFile,
	start: (more) => startProgram(example, { ...more, ...parameters }),
	...traits,
})

const ownPackage = { isOwn: true }
const jsonLock = { keepsJson: true }

const bases = [
	// It does not wait for a lock, so two processes at once would fail.
	program('floor', 'syscall_floor', {}, { isFloor: true }),
	inNode('argus-sync', 'argus-sync', ownPackage),
	inNode('argus-async', 'argus-async', ownPackage),
	inNode('argus-heartbeat', 'argus-heartbeat', ownPackage),
	inNode('argus-announce', 'argus-announce', ownPackage),
	program('crate-update', 'contestant', { operation: 'update' }, ownPackage),
	program('crate-heartbeat', 'contestant', { operation: 'heartbeat' }, ownPackage),
	program('crate-announce', 'contestant', { operation: 'announce' }, ownPackage),
	inNode('older-argus', 'older-argus', { ...jsonLock, neverDurable: true }),
	inNode('proper-lockfile', 'proper-lockfile', jsonLock),
	inNode('sqlite', 'sqlite', { engine: 'better-sqlite3' }),
	inNode('lmdb', 'lmdb', { engine: 'lmdb' }),
]

const variant = (contestant, durable) => ({
	...contestant,
	durable,
	name: durable ? `${contestant.base}-durable` : contestant.base,
})

export const contestants = [
	...bases.map((contestant) => variant(contestant, false)),
	...bases
		.filter(({ neverDurable }) => !neverDurable)
		.map((contestant) => variant(contestant, true)),
]

export const contestantNamed = (name) => contestants.find((contestant) => contestant.name === name)

export const floorOf = ({ durable }) => (durable ? 'floor-durable' : 'floor')
