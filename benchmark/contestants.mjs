// Who takes part. Each but the Rust programs is a module with
//   prepare(path, registry)          puts the registry there, in the contestant's own form
//   create({ durable })              makes a function (path, beat): one locked update
//   createReader()                   makes a function (path): reads all watchers, or throws
//   countBeats(path)                 how many updates are there
//   hold(path, say)                  takes the lock, says so, and never lets go
// each of which may return a promise.

import { startNode, startProgram } from './children.mjs'
import { jsonFile } from './registry-file.mjs'

const urlOf = (module) => new URL(`./contestants/${module}.mjs`, import.meta.url).href

const inNode = (base, module, traits = {}) => {
	const script = urlOf(module)
	return {
		base,
		script,
		load: () => import(script),
		start: (settings) => startNode('worker', { script, role: 'write', ...settings }),
		...traits,
	}
}

/** A Rust program on the JSON file, whose settings and answers are those of a Node worker. */
const program = (base, example, settings, traits) => ({
	base,
	isProgram: true,
	load: () => jsonFile,
	start: (more) => startProgram(example, { ...more, ...settings }),
	...traits,
})

const ours = { ours: true }
const jsonLock = { keepsJson: true }

const bases = [
	// It does not wait for a lock: two at once would fail.
	program('floor', 'syscall_floor', {}, { isFloor: true }),
	inNode('argus-sync', 'argus-sync', ours),
	inNode('argus-async', 'argus-async', ours),
	inNode('argus-heartbeat', 'argus-heartbeat', ours),
	inNode('argus-announce', 'argus-announce', ours),
	program('crate-update', 'contestant', { operation: 'update' }, ours),
	program('crate-heartbeat', 'contestant', { operation: 'heartbeat' }, ours),
	inNode('seed-lock', 'seed-lock', { ...jsonLock, neverDurable: true }),
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
