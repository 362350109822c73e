// One process that updates a registry of one size, in turns with replacing a file of that size.

import {
	closeSync,
	fsyncSync,
	mkdtempSync,
	openSync,
	readFileSync,
	renameSync,
	writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { beatOf, freshRegistry, jsonFile } from '../registry-file.mjs'
import { median } from '../statistics.mjs'

const WARM_UP_TURNS = 1
/** Several: the first call of a turn finds the processor's caches full of the other one's data. */
const CALLS_PER_TURN = 4
/** A small registry takes little time, so it gets more turns than the least. */
const MAX_TURNS = 100

const { contestant, folder, entries, minTurns, budgetMs } = JSON.parse(process.argv[2])
const index = Math.floor(entries / 2)

const freshPath = (name) => join(mkdtempSync(join(folder, `${name}-`)), 'registry.json')

const registry = freshRegistry(entries)
for (const id of Object.keys(registry.watchers).slice(entries)) delete registry.watchers[id]

const sync = (path) => {
	const file = openSync(path)
	fsyncSync(file)
	closeSync(file)
}

/** What any replacement of the file has to do, without a lock. */
const copyOf = (durable) => {
	const path = freshPath('copy')
	jsonFile.prepare(path, registry)
	return () => {
		const bytes = readFileSync(path)
		const file = openSync(`${path}.new`, 'w')
		writeSync(file, bytes)
		if (durable) fsyncSync(file)
		closeSync(file)
		renameSync(`${path}.new`, path)
		if (durable) sync(dirname(path))
	}
}

const updateOf = async ({ name, script, durable }) => {
	const { prepare, create } = await import(script)
	const path = freshPath(name)
	await prepare(path, registry)
	const [update, beat] = [create({ durable, index }), beatOf(index)]
	return () => update(path, beat)
}

const turns = { copy: copyOf(contestant.durable), update: await updateOf(contestant) }
const taken = { copy: [], update: [] }
const startedAt = performance.now()
const isEnough = (done) =>
	done >= minTurns && (done >= MAX_TURNS || performance.now() - startedAt > budgetMs)
for (let done = -WARM_UP_TURNS; !isEnough(done); done++) {
	for (const [what, call] of Object.entries(turns)) {
		for (let n = 0; n < CALLS_PER_TURN; n++) {
			const begunAt = performance.now()
			await call()
			if (done >= 0) taken[what].push(performance.now() - begunAt)
		}
	}
}
process.send({
	bytes: Buffer.byteLength(JSON.stringify(registry, null, 2)),
	samples: taken.update.length,
	copy: median(taken.copy),
	update: median(taken.update),
})
