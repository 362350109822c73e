// How long the calls on a registry in a folder take in JavaScript: `node folder-store.mjs FOLDER`. Like
// folder_store.rs, whose floor and lines it has; the folder has to be empty or missing.
//
// `heartbeatSync` is the part of a heartbeat that keeps the thread; with `heartbeat` the promise is awaited, too.

import {
	closeSync,
	fstatSync,
	futimesSync,
	mkdirSync,
	openSync,
	realpathSync,
	unlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const { claimWatcher, heartbeatWatcher } = createRequire(import.meta.url)('../../index.js')

const BATCHES = 2_000
const CALLS_PER_BATCH = 100
const CLAIMS = 200

const print = (cell, times) => {
	times.sort((a, b) => a - b)
	const at = (share) => times[Math.floor((times.length - 1) * share)]
	console.log(JSON.stringify({ cell, p50Us: at(0.5), p99Us: at(0.99), n: times.length }))
}

/** The time of one call in each batch, in microseconds; `settle` is not measured. */
const batches = async (run, settle = () => {}) => {
	const times = []
	for (let batch = 0; batch < BATCHES; batch += 1) {
		const calls = []
		const start = performance.now()
		await run(calls)
		times.push(((performance.now() - start) * 1e3) / CALLS_PER_BATCH)
		await settle(calls)
	}
	return times
}

const [given] = process.argv.slice(2)
if (!given) throw new Error('usage: folder-store.mjs FOLDER')
mkdirSync(given, { recursive: true })
const folder = realpathSync(given)

const file = join(folder, 'floor')
const descriptor = openSync(file, 'w')
const floor = () => {
	for (let call = 0; call < CALLS_PER_BATCH; call += 1) {
		const now = Date.now() / 1e3
		futimesSync(descriptor, now, now)
		fstatSync(descriptor)
	}
}
print('floorNode', await batches(floor))
closeSync(descriptor)
unlinkSync(file)

const options = { durable: false }
const recordOf = (id) => {
	const now = Date.now()
	return { id, host: '127.0.0.1', port: 9222, pid: process.pid, startedAt: now, updatedAt: now }
}
const { claim, watcher } = await claimWatcher(folder, recordOf('app'), options)

const mustBeThere = async (calls) => {
	for (const found of await Promise.all(calls)) if (!found) throw new Error('the entry was lost')
}
const heartbeats = (calls) => {
	for (let call = 0; call < CALLS_PER_BATCH; call += 1) calls.push(heartbeatWatcher(folder, claim))
}
print('heartbeatSync', await batches(heartbeats, mustBeThere))
const awaited = (entry) => async () => {
	for (let call = 0; call < CALLS_PER_BATCH; call += 1) {
		await mustBeThere([heartbeatWatcher(folder, entry)])
	}
}
print('heartbeat', await batches(awaited(claim)))
print('heartbeatByRecord', await batches(awaited(watcher)))

const claims = []
for (let number = 0; number < CLAIMS; number += 1) {
	const start = performance.now()
	await claimWatcher(folder, recordOf(`claimed${number}`), options)
	claims.push((performance.now() - start) * 1e3)
}
print('claim', claims)
