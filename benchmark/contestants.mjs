// Who takes part. Each but the floor is a module whose `create({ durable })` makes a function
// `(path, updater)`, one locked update of a registry, that may return a promise. Those that do what
// an entry operation does leave the updater out, and count the beats themselves.

import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { startFloor } from './floor.mjs'
import { nextMessage, track, whenClosed } from './processes.mjs'

const workerScript = fileURLToPath(new URL('./children/worker.mjs', import.meta.url))

/** Starts a Node worker; resolves when it is ready, with the function that lets it go. */
const startNode = (module) => async (settings) => {
	const script = new URL(`./contestants/${module}`, import.meta.url).href
	const argument = JSON.stringify({ ...settings, script })
	const child = track(fork(workerScript, [argument], { serialization: 'advanced' }))
	await nextMessage(child)
	return async (startAt) => {
		child.send({ startAt })
		const result = await nextMessage(child)
		await whenClosed(child)
		return result
	}
}

const contestant = (name, module, { durable = false, ours = false } = {}) => ({
	name: durable ? `${name}-durable` : name,
	durable,
	ours,
	start: startNode(module),
})

const floor = (name, durable) => ({
	name,
	durable,
	ours: false,
	// It does not wait for a lock: two at once would fail.
	isFloor: true,
	start: startFloor,
})

export const contestants = [
	floor('floor', false),
	contestant('argus-sync', 'argus-sync.mjs', { ours: true }),
	contestant('argus-async', 'argus-async.mjs', { ours: true }),
	contestant('argus-heartbeat', 'argus-heartbeat.mjs', { ours: true }),
	contestant('argus-announce', 'argus-announce.mjs', { ours: true }),
	contestant('seed-lock', 'seed-lock.mjs'),
	contestant('proper-lockfile', 'proper-lockfile.mjs'),
	floor('floor-durable', true),
	contestant('argus-sync', 'argus-sync.mjs', { ours: true, durable: true }),
	contestant('argus-async', 'argus-async.mjs', { ours: true, durable: true }),
	contestant('argus-heartbeat', 'argus-heartbeat.mjs', { ours: true, durable: true }),
	contestant('proper-lockfile', 'proper-lockfile.mjs', { durable: true }),
]

export const floorOf = ({ durable }) =>
	contestants.find((other) => other.isFloor && other.durable === durable)
