// What the benchmark counts, and how it judges that. The speed of this machine is no part of it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { closedLoop, Outcome, openLoop } from './loads.mjs'
import { help, OptionError, readOptions } from './options.mjs'
import { paceOf } from './pace.mjs'
import { combine, defects } from './results.mjs'
import { histogram, median, percentile, spread, summarise } from './statistics.mjs'
import { checkTargets } from './targets.mjs'

/** Time passes only when somebody waits for it or a call takes it. */
const fakeClock = () => {
	let time = 1_000
	return {
		now: () => time,
		until: async (at) => {
			time = Math.max(time, at)
		},
		take: (ms) => {
			time += ms
		},
	}
}

/** Every call takes 1 ms, but for one, which takes 500. */
const stallOnce = (clock, which) => {
	let calls = 0
	return async () => {
		calls += 1
		clock.take(calls === which ? 500 : 1)
	}
}

test('an open loop counts the calls that a stall keeps from beginning', async () => {
	const clock = fakeClock()
	const outcome = new Outcome()
	const load = { seconds: 2, periodMs: 100, phaseMs: 0 }
	await openLoop(stallOnce(clock, 5), load, outcome, clock)
	assert.equal(outcome.acknowledged, 20)
	// The one that stalled, and those that were due meanwhile: after 100 to 400 of the 500 ms,
	// each 1 ms after the one before.
	assert.deepEqual(outcome.latencies.slice(3, 11), [1, 500, 401, 302, 203, 104, 5, 1])
	assert.equal(outcome.latencies.filter((ms) => ms > 1).length, 6)
})

test('a closed loop shows the same stall as one slow call', async () => {
	const clock = fakeClock()
	const outcome = new Outcome()
	await closedLoop(stallOnce(clock, 5), { seconds: 2 }, outcome, clock)
	assert.equal(outcome.latencies.filter((ms) => ms > 1).length, 1)
	assert.equal(outcome.acknowledged, 1_501)
})

test('a phase comes first, and no call after the time is over', async () => {
	const clock = fakeClock()
	const outcome = new Outcome()
	const begun = []
	const call = async () => begun.push(clock.now() - 1_000)
	await openLoop(call, { seconds: 1, periodMs: 400, phaseMs: 150 }, outcome, clock)
	assert.deepEqual(begun, [150, 550, 950])
})

test('what is acknowledged too late is no throughput, and what fails has a latency', async () => {
	const clock = fakeClock()
	const outcome = new Outcome()
	let calls = 0
	const call = async () => {
		clock.take(400)
		calls += 1
		if (calls === 1) throw Object.assign(new Error('held'), { code: 'LOCK_TIMEOUT' })
		if (calls === 2) throw new Error('without a code')
	}
	await closedLoop(call, { seconds: 1 }, outcome, clock)
	assert.deepEqual(outcome.latencies, [400, 400, 400])
	assert.deepEqual([outcome.acknowledged, outcome.within], [1, 0])
	assert.deepEqual(outcome.errors, { LOCK_TIMEOUT: 1, 'without a code': 1 })
})

test('percentiles by nearest rank, medians, spreads, and a distribution that loses nothing', () => {
	const hundred = Array.from({ length: 100 }, (_, n) => 100 - n)
	assert.deepEqual(summarise(hundred), { p50: 50, p99: 99, max: 100 })
	assert.equal(percentile([1, 2, 3, 4, 5, 6, 7], 0.5), 4)
	assert.ok(Number.isNaN(percentile([], 0.5)))
	assert.equal(median([4, 1, 3]), 3)
	assert.equal(median([4, 1, 3, 2]), 2.5)
	assert.equal(spread([90, 100, 120]), 0.15)
	const steps = histogram([0.0001, 0.1, 0.1001, 5_000])
	assert.deepEqual(steps, [
		[1, 1],
		[100, 2],
		[4_466_836, 1],
	])
})

const cell = (contestant, round, opsPerSecond, more) => ({
	...{ contestant, base: contestant, durable: false, place: 'disk', processes: 1, round },
	...{ opsPerSecond, p50: 1, p99: 2, worstP99: 2, max: 3, fairness: 1, acknowledged: 10 },
	...{ errors: {}, lost: 0 },
	...more,
})

test('a ratio is that of the same round, place and durability', () => {
	const results = combine([
		cell('floor', 1, 1_000),
		cell('argus-sync', 1, 500),
		// A slow time of the machine, for both.
		cell('floor', 2, 100),
		cell('argus-sync', 2, 50, { max: 9, errors: { LOCK_TIMEOUT: 2 } }),
		cell('argus-sync', 1, 7, { place: 'tmpfs' }),
	])
	const [, ours, elsewhere] = results
	assert.equal(ours.timesFloor, 2)
	assert.deepEqual([ours.slowest, ours.opsPerSecond, ours.fastest], [50, 275, 500])
	assert.deepEqual([ours.max, ours.acknowledged], [9, 20])
	assert.deepEqual(ours.errors, { LOCK_TIMEOUT: 2 })
	assert.ok(Number.isNaN(elsewhere.timesFloor))
})

test('a lost update or an error of ours is a failure; a timeout and others’ errors are not', () => {
	const found = (results, part = 'processes') =>
		defects({ [part]: { results } }, (name) => name.startsWith('argus'))
	const fine = { contestant: 'argus-sync', processes: 4, lost: 0, errors: { LOCK_TIMEOUT: 3 } }
	assert.deepEqual(found([fine, { ...fine, contestant: 'seed-lock', lost: 5 }]), [])
	assert.deepEqual(found([{ ...fine, lost: 1 }]), ['processes, argus-sync, 4 processes: lost 1'])
	// Nobody could count: the file is no registry any more.
	assert.equal(found([{ ...fine, lost: Number.NaN }]).length, 1)
	assert.equal(found([{ ...fine, errors: { CRASHED: 1 } }]).length, 1)
	assert.equal(found([{ ...fine, reads: { errors: { TORN: 1 } } }]).length, 1)
	assert.equal(found([{ contestant: 'argus-sync', lost: 0, failed: 1 }], 'recovery').length, 1)
})

test('a target is met, missed, or not measured', () => {
	const results = [{ ...cell('argus-sync', 1, 500), timesFloor: 1.3 }]
	const rows = checkTargets({
		'one-process': { results },
		'start-up': { results: [{ module: 'argus', ms: 4, bytes: 2e6 }], addonBytes: 699_000 },
	})
	const verdict = (target) => rows.find((row) => row.target.startsWith(target)).verdict
	assert.equal(verdict('argus-sync, one process'), 'MISSED')
	assert.equal(verdict('argus-async, one process'), 'not measured')
	assert.equal(verdict('require: under 5 ms'), 'met')
	assert.equal(verdict('the addon'), 'met')
})

test('options: what is unknown is said, with what there is', () => {
	const refused = (args, message) => assert.throws(() => readOptions(args), message)
	refused(['--part', 'speed'], /--part does not know 'speed'; there is start-up, /)
	refused(['--only', 'argus'], /--only does not know 'argus'; there is floor, /)
	refused(['--updates', '100'], OptionError)
	refused(['--rounds', '0'], /--rounds takes a number/)
	refused(['--processes', '1,x'], /--processes takes numbers like 1,4,10, not 'x'/)
	refused(['--dir', '/no/such/folder'], /--dir takes a folder that exists/)
	refused(['--publish', '--part', 'sizes'], /--publish takes a run of all parts/)
	const options = readOptions(['--part', 'sizes,one-process', '--processes', '8,2,8'])
	assert.deepEqual(options.parts, ['sizes', 'one-process'])
	assert.deepEqual(paceOf(options).processes, [2, 8])
	assert.deepEqual(paceOf(readOptions([])).processes, [2, 4, 10, 32, 64])
	assert.equal(paceOf(readOptions(['--quick'])).rounds, 1)
	assert.equal(paceOf(readOptions(['--quick', '--rounds', '5'])).rounds, 5)
	for (const name of readOptions([]).parts) assert.match(help, new RegExp(`^ +${name} `, 'm'))
})

test('a run measures with real processes, saves what it found, and leaves nothing', (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'argus-benchmark-'))
	t.after(() => rmSync(folder, { recursive: true }))
	const run = fileURLToPath(new URL('./run.mjs', import.meta.url))
	const what = ['--part', 'processes,watchers', '--only', 'argus-async,seed-lock']
	const how = ['--quick', '--seconds', '0.2', '--processes', '2', '--place', 'disk']
	const args = [run, ...what, ...how, '--dir', folder, '--json', join(folder, 'found.json')]
	const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
	assert.equal(status, 0, stderr)
	assert.match(stdout, /argus-async, one process: at most 1.6 times the floor +- +not measured/)
	const { parts, settings } = JSON.parse(readFileSync(join(folder, 'found.json'), 'utf8'))
	assert.equal(settings.quick, true)
	const [ours, theirs] = parts.processes.cells
	assert.deepEqual([ours.contestant, theirs.contestant], ['argus-async', 'seed-lock'])
	assert.equal(ours.perProcess.length, 2)
	assert.ok(ours.acknowledged > 0)
	assert.equal(ours.lost, 0)
	const [beating] = parts.watchers.results
	// All that were due in that time, by ten.
	assert.equal(beating.acknowledged + (beating.errors.LOCK_TIMEOUT ?? 0), 60)
	assert.deepEqual(readdirSync(folder), ['found.json'])
})
