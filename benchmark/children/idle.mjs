// A process with a heartbeat and a watch, in which nothing happens.

import { mkdtempSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freshRegistry, jsonFile } from '../registry-file.mjs'

const { startRegistryHeartbeat, watchRegistry } = createRequire(import.meta.url)('../../index.js')

const SECONDS = 3

const path = join(mkdtempSync(join(JSON.parse(process.argv[2]).folder, 'idle-')), 'registry.json')
jsonFile.prepare(path, freshRegistry())
const heartbeat = startRegistryHeartbeat(path, () => undefined)
const watch = watchRegistry(path)
await watch.next()
const next = watch.next()
// By then the work that starting them has begun is over.
await sleep(500)
const before = process.cpuUsage()
await sleep(SECONDS * 1_000)
const { user, system } = process.cpuUsage(before)
await heartbeat.stop()
await watch.return()
await next.catch(() => {})
process.send({ seconds: SECONDS, cpuMs: (user + system) / 1_000 })
