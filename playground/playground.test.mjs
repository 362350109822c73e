// The playground as a test: the real command, with real processes.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { settleAccount } from './account.mjs'

const command = fileURLToPath(new URL('run.mjs', import.meta.url))
const isWindows = process.platform === 'win32'

/** Only for a run that hangs. */
const LONGEST_MS = 120_000

/** A folder for the command to put its temporary folder in. */
const scratch = (t) => {
	const dir = mkdtempSync(join(tmpdir(), 'argus-playground-test-'))
	t.after(() => rmSync(dir, { recursive: true, force: true }))
	return { dir, env: { ...process.env, TMPDIR: dir, TEMP: dir, TMP: dir } }
}

const run = (t, ...args) => {
	const { dir, env } = scratch(t)
	return new Promise((resolve) => {
		execFile(
			process.execPath,
			[command, ...args],
			{ env, timeout: LONGEST_MS },
			(error, stdout, stderr) =>
				resolve({ code: error ? error.code : 0, stdout, stderr, left: readdirSync(dir) }),
		)
	})
}

/** Runs the simulation; with the account that it wrote down. */
const play = async (t, ...args) => {
	const file = join(scratch(t).dir, 'facts.json')
	const result = await run(t, '--seconds', '3', '--json', file, ...args)
	assert.equal(result.stderr, '')
	return { ...result, facts: JSON.parse(readFileSync(file, 'utf8')) }
}

const FROZEN_IN_PEACE = { acknowledged: true, intruders: 0, robbed: false }

for (const watchers of [5, 10]) {
	test(`starting ${watchers} watchers drops no entry, loses no update and robs nobody`, async (t) => {
		const { code, facts, left, stdout } = await play(t, '--watchers', String(watchers))
		assert.deepEqual(facts.problems, [], stdout)
		assert.equal(code, 0)
		assert.deepEqual(facts.dropped, [])
		assert.match(stdout, new RegExp(`${watchers} of ${watchers} are in the file`))
		assert.equal(facts.announced, watchers + facts.kills.length)
		assert.equal(facts.left, watchers)
		assert.equal(facts.lost, 0)
		assert.ok(facts.acknowledged > 2 * facts.announced)
		assert.ok(facts.found >= facts.acknowledged)
		assert.ok(facts.found <= facts.acknowledged + facts.kills.length)
		assert.ok(facts.kills.length > 0)
		for (const { victim, by, ms } of facts.kills) {
			assert.ok(by && by !== victim && ms > 0, `${victim} taken over by ${by} after ${ms} ms`)
			assert.ok(facts.pruned.includes(victim), `${victim} pruned`)
		}
		assert.ok(facts.reads.count > 0)
		assert.deepEqual(left, [])
		if (isWindows) return
		const { acknowledged, intruders, robbed, waited } = facts.freeze
		assert.deepEqual({ acknowledged, intruders, robbed }, FROZEN_IN_PEACE)
		assert.ok(waited > 0)
	})
}

test('without a lock the same run loses updates, and the account says so', async (t) => {
	const { code, facts, left, stdout } = await play(t, '--without-lock')
	assert.equal(code, 1)
	assert.ok(facts.lost > 0, stdout)
	assert.ok(facts.overlaps > 0)
	if (!isWindows) assert.equal(facts.freeze.robbed, true)
	assert.match(stdout, /acknowledged updates lost: \d+/)
	assert.deepEqual(left, [])
})

/** An account of nothing but these acknowledged updates: `[id, ...]`, against counts in the file. */
const accountOf = ({ acknowledged, counts, missing = [], pruned = [], killed = [] }) => {
	const reports = acknowledged.map((id, index) => ({
		id,
		what: 'heartbeat',
		sequence: index + 1,
		missing: missing.includes(id),
		startedAt: 2 * index,
		insideAt: 2 * index,
		endedAt: 2 * index + 1,
	}))
	const prune = { id: 'pruner', what: 'prune', sequence: reports.length + 1, pruned }
	return settleAccount({
		absent: [],
		freeze: null,
		kills: killed.map((id) => ({
			hold: { id, insideAt: 0, releasedAt: 0 },
			how: 'waiting',
			by: 'x',
			ms: 1,
		})),
		reads: { count: 1, torn: 0, backwards: 0 },
		registry: { watchers: {}, playground: { counts: { ...counts, pruner: 1 } } },
		reports: [...reports, prune],
		watchers: 2,
	})
}

test('the account: one lost update is not made up for by another process', () => {
	const { lost, problems } = accountOf({
		acknowledged: ['a', 'a', 'b'],
		counts: { a: 1, b: 2 },
		killed: ['b'],
	})
	assert.equal(lost, 1)
	assert.deepEqual(problems, ['acknowledged updates lost: 1'])
})

test('the account: a killed process may have done one update more than it told, others not', () => {
	const run = { acknowledged: ['a'], counts: { a: 2 } }
	assert.deepEqual(accountOf({ ...run, killed: ['a'] }).problems, [])
	assert.equal(accountOf(run).unexplained, 1)
	assert.equal(accountOf({ acknowledged: ['a'], counts: { a: 3 }, killed: ['a'] }).unexplained, 1)
})

test('the account: a missing entry was dropped, unless it was pruned', () => {
	const run = { acknowledged: ['a', 'b'], counts: { a: 1, b: 1 }, missing: ['a'] }
	assert.deepEqual(accountOf(run).dropped, ['a'])
	assert.deepEqual(accountOf({ ...run, pruned: ['a'] }).problems, [])
})

test('what it can not run with is said, with exit code 2', async (t) => {
	for (const [args, message] of [
		[['--watchers', '0'], /--watchers must be a whole number from 1 to 100, not '0'/],
		[['--watchers', '2.5'], /--watchers must be/],
		[['--seconds', 'soon'], /--seconds must be a number above 0, at most 3600, not 'soon'/],
		[['--unknown'], /--unknown/],
	]) {
		const { code, stderr } = await run(t, ...args)
		assert.equal(code, 2)
		assert.match(stderr, message)
	}
	const { code, stdout } = await run(t, '--help')
	assert.equal(code, 0)
	assert.match(stdout, /--without-lock/)
})

const isRunning = (pid) => {
	try {
		process.kill(pid, 0)
		return true
	} catch {
		return false
	}
}

/** Runs the command until it ends, and does to it what `onLine` does. Returns who was there. */
const runWith = async (t, onLine) => {
	const { dir, env } = scratch(t)
	const args = ['--watchers', '5', '--seconds', '3']
	const child = spawn(process.execPath, [command, ...args], { env })
	const ended = once(child, 'exit')
	t.after(() => child.kill('SIGKILL'))
	const pids = []
	for await (const line of createInterface({ input: child.stdout })) {
		const announced = /process (\d+) announced/.exec(line)
		if (announced) pids.push(Number(announced[1]))
		onLine(line, child, pids)
	}
	return { ended: await ended, pids, left: readdirSync(dir) }
}

test('an interrupt ends all processes, even a frozen one, and removes the folder', {
	skip: isWindows && 'Windows has no SIGSTOP',
	timeout: LONGEST_MS,
}, async (t) => {
	const { ended, pids, left } = await runWith(t, (line, child) => {
		if (line.includes('frozen with SIGSTOP')) child.kill('SIGINT')
	})
	assert.deepEqual(ended, [130, null])
	assert.ok(pids.length > 5)
	assert.deepEqual(pids.filter(isRunning), [])
	assert.deepEqual(left, [])
})

test('a watcher that ends on its own ends the run, with exit code 2', {
	timeout: LONGEST_MS,
}, async (t) => {
	const { ended, pids, left } = await runWith(t, (line, _, [first]) => {
		if (line.includes('are in the file')) process.kill(first, 'SIGKILL')
	})
	assert.deepEqual(ended, [2, null])
	assert.deepEqual(pids.filter(isRunning), [])
	assert.deepEqual(left, [])
})
