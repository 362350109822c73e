// One process that measures one store: heartbeats, claims, and reading registries of several sizes.

import { closeSync, fstatSync, futimesSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../statistics.mjs'
import { openStore } from './stores.mjs'

const { store: name, folder, sizes, budgetMs } = JSON.parse(process.argv[2])

const CALLS_PER_BATCH = 20
const CLAIMS = 50
/** An entry that was written just before is read again, so reading it would be measured. */
const SETTLED_MS = 200

/** Batches, as reading the clock takes as long as a part of the fastest calls. In microseconds. */
const measure = async (call, budget = budgetMs, perBatch = CALLS_PER_BATCH) => {
	const times = []
	for (let n = 0; n < CALLS_PER_BATCH; n += 1) await call()
	for (const end = performance.now() + budget; performance.now() < end || times.length < 3; ) {
		const startedAt = performance.now()
		for (let n = 0; n < perBatch; n += 1) await call()
		times.push(((performance.now() - startedAt) * 1e3) / perBatch)
	}
	return median(times)
}

const dir = (of) => join(folder, `${name}-${of}`)

const floor = async () => {
	mkdirSync(folder, { recursive: true })
	const file = openSync(join(folder, 'floor'), 'w')
	const us = await measure(() => {
		const now = Date.now() / 1e3
		futimesSync(file, now, now)
		fstatSync(file)
	})
	closeSync(file)
	return us
}

const heartbeats = async () => {
	const store = await openStore(name, dir('heartbeats'))
	await store.fill(10)
	return measure(await store.watcher(0))
}

const claims = async () => {
	const store = await openStore(name, dir('claims'))
	const times = []
	for (let index = 0; index < CLAIMS; index += 1) {
		const startedAt = performance.now()
		await store.watcher(index)
		times.push((performance.now() - startedAt) * 1e3)
	}
	return median(times)
}

/** The first time, and again: under another name a folder is one that this process has not read. */
const reading = async (size) => {
	const store = await openStore(name, dir(size))
	await store.fill(size)
	await sleep(SETTLED_MS)
	const first = []
	if (name === 'folder') {
		for (let n = 0; n < 3; n += 1) {
			const [from, to] = [join(dir(size), 'registry'), join(dir(`${size}-${n}`), 'registry')]
			const renamed = openStore(name, dir(`${size}-${n}`))
			renameSync(from, to)
			const startedAt = performance.now()
			await renamed.read()
			first.push((performance.now() - startedAt) * 1e3)
			renameSync(to, from)
		}
	}
	const again = await measure(store.read, budgetMs, 1)
	return { size, again, ...(first.length > 0 && { first: median(first) }) }
}

const isOwn = name === 'folder' || name === 'file'
const found = {
	store: name,
	...(name === 'folder' && { floorNode: await floor() }),
	heartbeat: await heartbeats(),
	...(isOwn && { claim: await claims() }),
	reading: [],
}
for (const size of sizes) found.reading.push(await reading(size))
process.send(found)
