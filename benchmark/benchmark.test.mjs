// What the benchmark counts, and how it judges that. The speed of this machine is no part of it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LatencyHistogram } from './latency-histogram.mjs'
import { CallRecorder, closedLoop, openLoop } from './loads.mjs'
import { help, OptionError, readOptions } from './options.mjs'
import { combine, defects } from './results.mjs'
import { settingsOf } from './settings.mjs'
import { median, spread } from './statistics.mjs'
import { checkTargets } from './targets.mjs'

/** Time passes only while a loop waits, or when a call takes it. */
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
	const recorder = new CallRecorder()
	const load = { seconds: 2, periodMs: 100, phaseMs: 0 }
	await openLoop(stallOnce(clock, 5), load, recorder, clock)
	assert.equal(recorder.acknowledged, 20)
	// The call that stalled, and the calls that were due meanwhile: after 100 to 400 of the 500 ms, each
	// 1 ms after the one before.
	assert.deepEqual(recorder.latencies.slice(3, 11), [1, 500, 401, 302, 203, 104, 5, 1])
	assert.equal(recorder.latencies.filter((ms) => ms > 1).length, 6)
})

test('a closed loop shows the same stall as one slow call', async () => {
	const clock = fakeClock()
	const recorder = new CallRecorder()
	await closedLoop(stallOnce(clock, 5), { seconds: 2 }, recorder, clock)
	assert.equal(recorder.latencies.filter((ms) => ms > 1).length, 1)
	assert.equal(recorder.acknowledged, 1_501)
})

test('a phase comes first, and no call after the time is over', async () => {
	const clock = fakeClock()
	const recorder = new CallRecorder()
	const begun = []
	const call = async () => begun.push(clock.now() - 1_000)
	await openLoop(call, { seconds: 1, periodMs: 400, phaseMs: 150 }, recorder, clock)
	assert.deepEqual(begun, [150, 550, 950])
})

test('a late acknowledgement is no throughput, and a rejected call has a latency', async () => {
	const clock = fakeClock()
	const recorder = new CallRecorder()
	let calls = 0
	const call = async () => {
		clock.take(400)
		calls += 1
		if (calls === 1) throw Object.assign(new Error('held'), { code: 'LOCK_TIMEOUT' })
		if (calls === 2) throw new Error('without a code')
	}
	await closedLoop(call, { seconds: 1 }, recorder, clock)
	assert.deepEqual(recorder.latencies, [400, 400, 400])
	assert.deepEqual([recorder.acknowledged, recorder.within], [1, 0])
	assert.deepEqual(recorder.errors, { LOCK_TIMEOUT: 1, 'without a code': 1 })
})

/** By nearest rank, of all values. */
const exactPercentile = (values, percent) => {
	const sorted = Float64Array.from(values).sort()
	return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)]
}

/** That a histogram's value is `exact`, in whole nanoseconds, or over it by up to a thousandth. */
const assertWithinRange = (found, exact) =>
	assert.ok(found >= exact * 0.9999 && found <= exact * 1.001, `${found} is not ${exact}`)

test('percentiles are those of the sorted values to a thousandth; counts and maxima are exact', () => {
	const hundred = LatencyHistogram.of(Array.from({ length: 100 }, (_, n) => 100 - n))
	assertWithinRange(hundred.summary.p50, 50)
	assertWithinRange(hundred.summary.p99, 99)
	assert.equal(hundred.summary.max, 100)
	assertWithinRange(LatencyHistogram.of([1, 2, 3, 4, 5, 6, 7]).percentile(50), 4)
	const sixty = Array.from({ length: 60 }, (_, n) => n + 1)
	assert.equal(LatencyHistogram.of(sixty).percentile(99), 60)
	assert.deepEqual(LatencyHistogram.of([]).summary, {
		...{ p50: Number.NaN, p99: Number.NaN, max: Number.NaN },
	})
	// From 5 microseconds to 5 seconds: from LMDB's fastest calls to a timeout.
	const latencies = Array.from(
		{ length: 5_000 },
		(_, n) => 0.005 * 1.00277 ** ((n * 1_327) % 5_000),
	)
	const histogram = LatencyHistogram.of([...latencies, 0])
	assert.equal(histogram.count, 5_001)
	assert.equal(histogram.max, Math.max(...latencies))
	for (const percent of [5, 25, 50, 90, 99, 99.9]) {
		assertWithinRange(histogram.percentile(percent), exactPercentile([...latencies, 0], percent))
	}
})

test('a distribution of several processes is that of all their calls, and loses no call', () => {
	const [one, other] = [LatencyHistogram.of([0.0001, 0.1]), LatencyHistogram.of([0.1001, 5_000])]
	one.add(other)
	const { count, percentiles } = JSON.parse(JSON.stringify(one))
	assert.equal(count, 4)
	assertWithinRange(percentiles.p25, 0.0001)
	assertWithinRange(percentiles.p50, 0.1)
	assertWithinRange(percentiles.p75, 0.1001)
	assert.equal(percentiles.p100, 5_000)
	one.add(new LatencyHistogram())
	assert.deepEqual([one.count, one.max], [4, 5_000])
})

test('medians and spreads of a few rounds are exact', () => {
	assert.equal(median([4, 1, 3]), 3)
	assert.equal(median([4, 1, 3, 2]), 2.5)
	assert.equal(spread([90, 100, 120]), 0.15)
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
		// A round in which the machine is slow, for both.
		cell('floor', 2, 100),
		cell('argus-sync', 2, 50, { max: 9, errors: { LOCK_TIMEOUT: 2 } }),
		cell('argus-sync', 1, 7, { place: 'tmpfs' }),
	])
	const [, ours, elsewhere] = results
	assert.equal(ours.timesFloor, 2)
	// 1 ms in one round, 10 ms in the other.
	assert.equal(Math.round(ours.overFloorUs), 5_500)
	assert.deepEqual([ours.slowest, ours.opsPerSecond, ours.fastest], [50, 275, 500])
	assert.deepEqual([ours.max, ours.acknowledged], [9, 20])
	assert.deepEqual(ours.errors, { LOCK_TIMEOUT: 2 })
	assert.ok(Number.isNaN(elsewhere.timesFloor))
})

test('a lost update or an error of this package fails; a timeout or another’s error does not', () => {
	const found = (results, part = 'processes') =>
		defects({ [part]: { results } }, (name) => name.startsWith('argus'))
	const fine = { contestant: 'argus-sync', processes: 4, lost: 0, errors: { LOCK_TIMEOUT: 3 } }
	assert.deepEqual(found([fine, { ...fine, contestant: 'older-argus', lost: 5 }]), [])
	assert.deepEqual(found([{ ...fine, lost: 1 }]), ['processes, argus-sync, 4 processes: lost 1'])
	// The updates could not be counted: the file is no registry any more.
	assert.equal(found([{ ...fine, lost: Number.NaN }]).length, 1)
	assert.equal(found([{ ...fine, errors: { CRASHED: 1 } }]).length, 1)
	assert.equal(found([{ ...fine, reads: { errors: { TORN: 1 } } }]).length, 1)
	assert.equal(found([{ contestant: 'argus-sync', lost: 0, failed: 1 }], 'recovery').length, 1)
})

test('a target is met, missed, or not measured', () => {
	const results = [{ ...cell('argus-sync', 1, 500), timesFloor: 1.3 }]
	const rows = checkTargets({
		'one-process': { results },
		'start-up': { results: [{ module: 'argus', ms: 4, bytes: 2e6 }], addonBytes: 899_000 },
		folder: { timesFloor: { node: 3.9, rust: 2.1 }, timesLmdb: Number.NaN },
	})
	const verdict = (target) => rows.find((row) => row.target.startsWith(target)).verdict
	assert.equal(verdict('argus-sync, one process'), 'MISSED')
	assert.equal(verdict('argus-async, one process'), 'not measured')
	assert.equal(verdict('require: under 5 ms'), 'met')
	assert.equal(verdict('the addon'), 'met')
	assert.equal(verdict('a heartbeat in a folder, Node'), 'met')
	assert.equal(verdict('a heartbeat in a folder, Rust'), 'MISSED')
	assert.equal(verdict('a heartbeat in a folder: faster than LMDB'), 'not measured')
})

test('options: an error names the unknown value, and the known ones', () => {
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
	assert.deepEqual(settingsOf(options).processes, [2, 8])
	assert.deepEqual(settingsOf(readOptions([])).processes, [2, 4, 10, 32, 64])
	assert.equal(settingsOf(readOptions(['--quick'])).rounds, 1)
	assert.equal(settingsOf(readOptions(['--quick', '--rounds', '5'])).rounds, 5)
	for (const name of readOptions([]).parts) assert.match(help, new RegExp(`^ +${name} `, 'm'))
})

test('a run measures with real processes, saves its results, and leaves no other file', (t) => {
	const folder = mkdtempSync(join(tmpdir(), 'argus-benchmark-'))
	t.after(() => rmSync(folder, { recursive: true }))
	const run = fileURLToPath(new URL('./run.mjs', import.meta.url))
	const parts = ['--part', 'processes,watchers', '--only', 'argus-async,older-argus']
	const size = ['--quick', '--seconds', '0.2', '--processes', '2', '--place', 'disk']
	const args = [run, ...parts, ...size, '--dir', folder, '--json', join(folder, 'found.json')]
	const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
	assert.equal(status, 0, stderr)
	assert.match(
		stdout,
		/argus-async, one process, disk: at most 1.25 times the floor +- +- +not measured/,
	)
	const found = JSON.parse(readFileSync(join(folder, 'found.json'), 'utf8'))
	assert.equal(found.settings.quick, true)
	const [ours, theirs] = found.parts.processes.cells
	assert.deepEqual([ours.contestant, theirs.contestant], ['argus-async', 'older-argus'])
	assert.equal(ours.perProcess.length, 2)
	assert.ok(ours.acknowledged > 0)
	// Each call has a latency, the rejected ones too.
	const rejected = Object.values(ours.errors).reduce((total, count) => total + count, 0)
	assert.equal(ours.latencies.count, ours.acknowledged + rejected)
	assert.equal(ours.lost, 0)
	const [heartbeats] = found.parts.watchers.results
	// All the heartbeats that were due in that time, of ten watchers.
	assert.equal(heartbeats.acknowledged + (heartbeats.errors.LOCK_TIMEOUT ?? 0), 60)
	assert.deepEqual(readdirSync(folder), ['found.json'])
})
