// One process with many watchers in one store, which sends a heartbeat of each one in every period.

import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { CallRecorder, openLoop } from '../loads.mjs'
import { openStore } from './stores.mjs'

const { store: name, folder, index, watchers, load } = JSON.parse(process.argv[2])

process.on('disconnect', () => process.exit(1))
const store = await openStore(name, folder)
const beats = []
for (let n = 0; n < watchers; n += 1) beats.push(await store.watcher(index * watchers + n))
for (const beat of beats) await beat()
process.send('ready')
const [{ startAt }] = await once(process, 'message')
await sleep(Math.max(0, startAt - Date.now()))
const recorder = new CallRecorder()
let next = 0
const call = async () => {
	const isThere = await beats[next++ % watchers]()
	if (isThere === false) throw Object.assign(new Error('lost'), { code: 'ENTRY_LOST' })
}
const spread = { ...load, periodMs: load.periodMs / watchers }
await openLoop(call, { ...spread, phaseMs: (spread.periodMs * index) / load.processes }, recorder)
process.send({ ...recorder }, () => process.exit(0))
