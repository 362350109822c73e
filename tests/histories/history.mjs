// One history: processes on one registry, with calls and accidents by chance, and the verdict on it.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { readRegistrySync, updateRegistrySync } from '../../index.js'
import { judge } from './checker.mjs'
import { startClient } from './clients.mjs'

/** After so many calls on a key another one takes its place, so that each can be judged soon. */
const CALLS_PER_KEY = 60
const KEYS_AT_ONCE = 3
/** Longer than any call: no process is frozen or keeps the lock for so long. */
const HANGS_AFTER_MS = 40_000

/** How often each call is made, of 100. */
const CALLS = [
	['swap', 50],
	['announce', 8],
	['claim', 8],
	['heartbeat', 12],
	['remove', 6],
	['read', 16],
]

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
export const randomFrom = (seed) => {
	let state = seed >>> 0
	return () => {
		state = (state + 0x6d2b79f5) >>> 0
		let mixed = Math.imul(state ^ (state >>> 15), state | 1)
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
	}
}

/** A clock that is set for all processes: `set(seconds)`, and the environment that makes them follow it. */
const clockIn = (dir) => {
	const [library, file] = ['clock.so', 'step'].map((name) => join(dir, name))
	const source = fileURLToPath(new URL('clock-steps.c', import.meta.url))
	execFileSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'])
	const step = openSync(file, 'w')
	const set = (seconds) => {
		const bytes = Buffer.alloc(8)
		bytes.writeBigInt64LE(BigInt(seconds))
		writeSync(step, bytes, 0, 8, 0)
	}
	set(0)
	return { set, env: { LD_PRELOAD: library, CLOCK_STEP_FILE: file } }
}

/** What is called: the keys, and the next call. */
const createCalls = (random) => {
	let [number, made] = [0, 0]
	const create = (prefix) => {
		made += 1
		return { id: `${prefix}-${made}`, calls: 0 }
	}
	const keys = Array.from({ length: KEYS_AT_ONCE }, () => create('key'))
	let counter = create('counter')
	/** Ids that are not called any more; they are removed, so that the file stays small. */
	const retired = []

	const use = (key) => {
		key.calls += 1
		return { key: key.id, value: key.calls }
	}
	const choose = (isOlder) => {
		if (isOlder) return 'swap'
		let rest = random() * 100
		for (const [name, share] of CALLS) {
			if (rest < share) return name
			rest -= share
		}
		return 'read'
	}
	return (isOlder) => {
		number += 1
		if (!isOlder && retired.length > 0) return { number, name: 'remove', key: retired.shift() }
		const name = choose(isOlder)
		if (name === 'read') return { number, name, keys: [...keys.map(({ id }) => id), counter.id] }
		const index = Math.floor(random() * keys.length)
		const call = { number, name, ...use(keys[index]) }
		if (keys[index].calls >= CALLS_PER_KEY) {
			retired.push(keys[index].id)
			keys[index] = create('key')
		}
		if (name !== 'swap') return call
		counter.calls += 1
		call.counter = counter.id
		if (counter.calls >= CALLS_PER_KEY) {
			retired.push(counter.id)
			counter = create('counter')
		}
		return call
	}
}

/** What a call says about each of the keys. */
const perKey = ({ name, key, keys, counter, value, answer, ...call }) => {
	const about = (id, of) => [id, { ...call, ...of }]
	if (name === 'read') {
		return keys.map((id) => about(id, { name, answer: answer && { value: answer.values[id] } }))
	}
	const own = about(key, { name, value, answer })
	if (name !== 'swap') return [own]
	return [own, about(counter, { name: 'count', answer: answer && { before: answer.count } })]
}

const isWithoutEffect = ({ name, answer }) => !answer && (name === 'read' || name === 'heartbeat')

/** The verdicts on a whole history. */
export const judgeHistory = (history) => {
	const byKey = Map.groupBy
		? Map.groupBy(history.flatMap(perKey), ([id]) => id)
		: history.flatMap(perKey).reduce((map, entry) => {
				map.set(entry[0], [...(map.get(entry[0]) ?? []), entry])
				return map
			}, new Map())
	const problems = []
	for (const [id, entries] of byKey) {
		const operations = entries
			.map(([, operation]) => operation)
			.filter((operation) => !isWithoutEffect(operation))
		const verdict = judge(operations)
		if (!verdict.isLinearizable) {
			const around = verdict.longest.slice(-5).map((one) => JSON.stringify(one))
			problems.push(
				`${id}: no order explains it: after ${around.join(', ')} comes ${JSON.stringify(verdict.at)}`,
			)
		}
	}
	return { problems, keys: byKey.size }
}

/** Failures that are promised for a lock that others have, or have taken away. */
const EXPECTED_ERRORS = ['LOCK_TIMEOUT', 'LOCK_LOST']

/** Errors of the library say that nothing was written; an older argus's may have come after its write. */
const sort = (history) => {
	const [known, failed, problems] = [[], {}, []]
	for (const call of history) {
		if (call.error === undefined) {
			known.push(call)
			continue
		}
		const isOlder = call.by.startsWith('older')
		if (call.isUnknown) known.push({ ...call, answeredAt: Number.POSITIVE_INFINITY })
		const code = isOlder ? 'of older argus' : call.error.split(' ')[0]
		failed[code] = (failed[code] ?? 0) + 1
		if (!isOlder && !EXPECTED_ERRORS.includes(code)) problems.push(`${call.by}: ${call.error}`)
	}
	return { known, failed, problems }
}

/**
 * Runs one history. `scenario`: the `kinds` of the processes by name, their `options`, `freezeMs` for the
 * longest freeze, `setsClock`, `killsOlder`.
 */
export const runHistory = async ({ scenario, kinds, seed, seconds }) => {
	const random = randomFrom(seed)
	const dir = mkdtempSync(join(tmpdir(), 'argus-histories-'))
	const folder = mkdtempSync(join(dir, 'registry-'))
	const path = join(folder, 'registry.json')
	const counts = { kills: 0, freezes: 0, steps: 0 }
	const [history, problems, clients] = [[], [], new Set()]
	const clock = scenario.setsClock ? clockIn(dir) : undefined
	const env = { ...process.env, ...clock?.env }
	const nextCall = createCalls(random)
	let isOver = false

	// An older argus expects the file.
	updateRegistrySync(path, (registry) => ({ ...registry }), { durable: false })

	const onEnd = (client, problem) => {
		clients.delete(client)
		if (problem) problems.push(problem)
	}
	const start = async (name) => {
		const given = { path, options: scenario.options, env, history, onEnd }
		clients.add(await startClient(name, kinds[name], given))
	}
	/** A process that is started just before the end is there after it: the end waits, so that it is ended, too. */
	const restarts = []
	const restart = (name) => {
		restarts.push(start(name).catch((error) => problems.push(String(error))))
	}

	const ask = async () => {
		while (!isOver) {
			for (const client of clients) {
				while (!isOver && client.isFree()) client.call(nextCall(client.kind.isOlder))
			}
			await delay(1)
		}
	}
	const pick = () => [...clients][Math.floor(random() * clients.size)]
	const accidents = async () => {
		while (!isOver) {
			await delay(100 + random() * 400)
			const [client, chance] = [pick(), random()]
			if (!client || isOver) continue
			if (chance < 0.5) {
				if (client.kind.isOlder) continue
				counts.kills += 1
				client.kill()
				restart(client.name)
			} else if (chance < 0.8 || !clock) {
				counts.freezes += 1
				client.signal('SIGSTOP')
				delay(random() * scenario.freezeMs).then(() => client.signal('SIGCONT'))
			} else {
				counts.steps += 1
				clock.set([0, -3_600, 3_600, -20, 20][Math.floor(random() * 5)])
			}
		}
	}

	const finish = async () => {
		const deadline = Date.now() + HANGS_AFTER_MS
		while ([...clients].some((client) => !client.isIdle())) {
			if (Date.now() > deadline) {
				problems.push(`calls without an answer after ${HANGS_AFTER_MS} ms`)
				break
			}
			await delay(10)
		}
		for (const client of clients) client.finish()
		await Promise.race([Promise.all([...clients].map(({ ended }) => ended)), delay(5_000)])
		for (const client of clients) client.kill()
	}

	try {
		await Promise.all(scenario.processes.map(start))
		const asking = ask()
		const disturbing = accidents()
		await delay(seconds * 1_000)
		isOver = true
		await Promise.all([asking, disturbing])
		await Promise.all(restarts)
		// The longest freeze is over.
		await delay(scenario.freezeMs)
		await finish()
		// This process has not had the lock since the others began: it cleans up like any other.
		updateRegistrySync(path, (registry) => ({ ...registry }), { durable: false, timeoutMs: 0 })
		const ids = [...new Set(history.flatMap(({ key, counter }) => [key, counter]).filter(Boolean))]
		const { watchers } = readRegistrySync(path).registry
		const values = Object.fromEntries(ids.map((id) => [id, watchers[id]?.port ?? null]))
		const end = Number(process.hrtime.bigint()) / 1e6
		const last = { name: 'read', keys: ids, by: 'the end', calledAt: end, answeredAt: end + 1 }
		const { known, failed, problems: wrong } = sort(history)
		const verdict = judgeHistory([...known, { ...last, answer: { values } }])
		const unanswered = known.filter(({ answer }) => !answer).length
		const calls = history.length
		return {
			...{ seed, seconds, calls, unanswered, failed, ...counts, keys: verdict.keys },
			problems: [...problems, ...wrong, ...verdict.problems],
			left: readdirSync(folder).filter((name) => !/^registry\.json(\.guard)?$/.test(name)),
		}
	} finally {
		isOver = true
		for (const client of clients) client.kill()
		rmSync(dir, { recursive: true, force: true })
	}
}
