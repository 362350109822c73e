// The playground as a test: the real command, with real processes.

import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { skipWithoutEtcd } from '../__test__/support/etcd.mjs'
import { addonFile } from '../__test__/support/install.mjs'
import { skipIf } from '../__test__/support/skip.mjs'
import { installed } from '../scripts/runtime-installs.mjs'
import { settleAccount } from './account.mjs'
import { settleEtcdAccount } from './etcd/account.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const command = join(root, 'playground', 'run.mjs')
const noBun = skipIf(
	!installed('bun@1.4'),
	'no Bun to run watchers on: npm run test:runtimes installs it',
)
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

/** What the ids are when all watchers ask for one id. */
const idsOf = (watchers) =>
	Array.from({ length: watchers }, (_, index) => (index === 0 ? 'app' : `app-${index + 1}`)).sort()

/** What ids the watchers of the opening were given. */
const idsIn = (stdout) =>
	[...stdout.matchAll(/ watcher-\d+ +process \d+ announced as (\S+) /g)].map(([, id]) => id).sort()

const FROZEN_IN_PEACE = { acknowledged: true, intruders: 0, robbed: false }

/** What runs the playground. */
const ours = process.versions.bun ? `Bun ${process.versions.bun}` : `Node ${process.versions.node}`

/** A folder knows by a lock that a watcher is dead. Of a file's watcher that is told for this machine's alone. */
const GONE_FROM_FILE = [...Array(3).fill('expired'), ...Array(3).fill('dead')]
const GONE_FROM_FOLDER = Array(6).fill('dead')

for (const { watchers, on, store = 'file', gone = GONE_FROM_FILE, args = [], skip = false } of [
	{ watchers: 5, on: ours },
	{ watchers: 10, on: ours },
	{ watchers: 10, on: ours, store: 'folder', gone: GONE_FROM_FOLDER, args: ['--store', 'folder'] },
	{ watchers: 10, on: 'Bun', args: ['--runtime', 'bun'], skip: noBun },
]) {
	const name = `starting ${watchers} watchers on ${on} in a ${store} drops no entry, loses no update and takes no lock away`
	test(name, { skip }, async (t) => {
		const { code, facts, left, stdout } = await play(t, '--watchers', String(watchers), ...args)
		assert.ok(facts.runtime.startsWith(on), facts.runtime)
		assert.match(stdout, new RegExp(`Watchers ran on ${on}`))
		assert.deepEqual(facts.problems, [], stdout)
		assert.equal(code, 0)
		assert.deepEqual(facts.dropped, [])
		assert.deepEqual(idsIn(stdout), idsOf(watchers))
		assert.match(stdout, new RegExp(`${watchers} of ${watchers} are in the registry`))
		assert.equal(facts.announced, watchers + facts.kills.length)
		assert.equal(facts.left, watchers)
		assert.equal(facts.lost, 0)
		assert.ok(facts.acknowledged > 2 * facts.announced)
		assert.ok(facts.found >= facts.acknowledged)
		assert.ok(facts.found <= facts.acknowledged + facts.kills.length)
		assert.ok(facts.kills.length > 0)
		assert.ok(facts.beats > facts.announced)
		assert.ok(facts.looks > 2 * facts.announced)
		assert.equal(facts.lostBeats, 0)
		// Those that are known to be dead went before they were too old, whatever the time to live.
		const reasons = facts.kills.map(({ gone }) => gone.reason)
		assert.deepEqual(reasons, gone)
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

test('on three servers of etcd nothing is lost while watchers and servers are killed and one is frozen', {
	skip: skipWithoutEtcd,
}, async (t) => {
	const { code, facts, left, stdout } = await play(
		t,
		...['--store', 'etcd', '--servers', '3', '--watchers', '5'],
	)
	assert.deepEqual(facts.problems, [], stdout)
	assert.equal(code, 0)
	assert.match(stdout, /network +(each watcher has a|all watchers share one) network namespace/)
	assert.match(stdout, /5 of 5 are in the registry/)
	assert.deepEqual(idsIn(stdout).slice(0, 5), idsOf(5))
	assert.deepEqual(
		facts.outages.map(({ role }) => role),
		['follower', 'leader'],
	)
	// The opening, the victim, the successor, and the frozen one, which stays one watcher.
	assert.equal(facts.announced, 7)
	assert.equal(facts.left, 6)
	assert.equal(facts.lost, 0)
	assert.ok(facts.acknowledged > facts.announced)
	assert.ok(facts.found >= facts.acknowledged && facts.found <= facts.acknowledged + 1)
	assert.ok(facts.looks > facts.announced)
	assert.ok(facts.beats > facts.announced)
	assert.equal(facts.kills[0].gone.reason, 'lease')
	assert.ok(facts.frozen.wasTold)
	assert.deepEqual(left, [])
})

test('without an installed etcd the command says so in one line', async (t) => {
	const { env } = scratch(t)
	const { status, stdout, stderr } = spawnSync(process.execPath, [command, '--store', 'etcd'], {
		env: { ...env, PATH: '' },
		encoding: 'utf8',
	})
	assert.equal(status, 2)
	assert.equal(stdout, '')
	assert.match(stderr, /^--store etcd: there is no program etcd[^\n]*\n$/)
})

test('without a lock the same run loses updates, and the account says so', async (t) => {
	const { code, facts, left, stdout } = await play(t, '--without-lock')
	assert.equal(code, 1)
	assert.ok(facts.lost > 0, stdout)
	assert.ok(facts.overlaps > 0)
	if (!isWindows) assert.equal(facts.freeze.robbed, true)
	// By chance, all watchers share one id and seldom see their own entry, or each has its own.
	assert.ok(facts.duplicates.length + facts.lostBeats > 0, stdout)
	assert.match(
		stdout,
		/beats that the file did not have: \d|ids that two watchers had at once: app/,
	)
	assert.match(stdout, /acknowledged updates lost: \d+/)
	assert.deepEqual(left, [])
})

const TTL_MS = 1_000

/** A settled account of nothing but this; `killed` maps processes to when. */
const settle = ({ entries = [], killed = {}, heldFor = 0, counts = {}, reports }) => {
	const watchers = Object.fromEntries(entries.map((entry) => [entry.id, entry]))
	return settleAccount({
		runtime: 'none',
		freeze: null,
		kills: Object.entries(killed).map(([id, at]) => ({
			hold: { id, insideAt: at - heldFor, releasedAt: at },
			how: 'waiting',
			by: 'x',
			ms: 1,
		})),
		opening: [],
		reads: { count: 1, torn: 0, backwards: 0 },
		registry: { watchers, playground: { counts } },
		reports,
		ttlMs: TTL_MS,
		watchers: 2,
	})
}

const recordOf = (id, beats = 0, pid = 1) => ({ id, pid, startedAt: 5, beats })

/** What was done to an entry, by a process of the same name unless said otherwise. */
const op = (what, id, at, details) => {
	const { beats, ...claim } = recordOf(id)
	return { id, what, claim, startedAt: at, endedAt: at + 1, ...details }
}

const pruned = (at, reason, watcher) =>
	op('prune', 'pruner', at, { pruned: [{ id: watcher.id, watcher, reason }] })

/** A counted update that saw this entry under the id; the watcher knew of so many beats. */
const sighted = (id, at, entry, acknowledged = 0) =>
	op('update', id, at, {
		insideAt: at,
		sequence: at,
		sighting: { claim: op('claim', id).claim, acknowledged, entry },
	})

/** An account of nothing but these acknowledged updates: `[id, ...]`, against counts in the file. */
const accountOf = ({ acknowledged, counts, missing = [], prunedIds = [], killed = [] }) =>
	settle({
		counts,
		killed: Object.fromEntries(killed.map((id) => [id, 0])),
		reports: [
			...[...new Set(acknowledged)].map((id) => op('claim', id, 0)),
			...acknowledged.map((id, index) =>
				sighted(id, 2 * index + 2, missing.includes(id) ? undefined : recordOf(id)),
			),
			...prunedIds.map((id) => pruned(10 * TTL_MS, 'expired', recordOf(id))),
		],
	})

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

test('the account: an update or operation that failed is told, in each store', () => {
	const reports = [
		op('claim', 'a', 0),
		op('update', 'a', 1, { error: 'LOCK_TIMEOUT' }),
		op('beat', 'a', 2, { error: 'IO' }),
	]
	const told = ['updates and operations failed: 2, the first with LOCK_TIMEOUT']
	assert.deepEqual(settle({ entries: [recordOf('a')], reports }).problems, told)
	const { problems } = settleEtcdAccount({
		...{ runtime: 'none', servers: 1, watchers: 1, leaseMs: TTL_MS },
		...{ kills: [], outages: [], opening: [], reports },
		registry: { watchers: { a: recordOf('a') } },
	})
	assert.deepEqual(problems, told)
})

test('the account: a missing entry was dropped, unless it was pruned', () => {
	const run = { acknowledged: ['a', 'b'], counts: { a: 1, b: 1 }, missing: ['a'] }
	assert.deepEqual(accountOf(run).dropped, ['a'])
	assert.deepEqual(accountOf({ ...run, prunedIds: ['a'] }).problems, [])
})

test('the account: an entry with fewer beats than were acknowledged has lost some', () => {
	const claim = op('claim', 'a', 0)
	const beat = op('beat', 'a', 10, { beats: 1 })
	const seen = (beats, acknowledged) =>
		settle({
			counts: { a: 1 },
			reports: [claim, beat, sighted('a', 20, recordOf('a', beats), acknowledged)],
		})
	assert.deepEqual(seen(1, 1).problems, [])
	// One that is in the file already, and that no process has been told of.
	assert.deepEqual(seen(2, 1).problems, [])
	assert.deepEqual(seen(0, 1).problems, ['acknowledged beats that the file did not have: 1'])
	// A dead watcher says no more; what was pruned of it does.
	const left = (beats) =>
		settle({ killed: { a: 20 }, reports: [claim, beat, pruned(30, 'dead', recordOf('a', beats))] })
	assert.deepEqual(left(1).problems, [])
	assert.equal(left(0).lostBeats, 1)
})

test('the account: an entry that was removed and is back is told', () => {
	const reports = [op('claim', 'a', 0), op('leave', 'a', 10)]
	const problems = ['entries back after they were removed: a']
	assert.deepEqual(settle({ reports }).problems, [])
	assert.deepEqual(settle({ reports, entries: [recordOf('a')] }).problems, problems)
	// Another process has the id by now.
	assert.deepEqual(settle({ reports, entries: [recordOf('a', 0, 2)] }).problems, [])
	const prune = (at) => pruned(at, 'expired', recordOf('a'))
	assert.deepEqual(settle({ reports: [...reports, prune(20)] }).problems, problems)
	// Pruned before it left, which it did not notice.
	const late = [op('claim', 'a', 0), op('leave', 'a', 4 * TTL_MS), prune(2 * TTL_MS)]
	assert.deepEqual(settle({ reports: late }).problems, [])
	// A beat that was acknowledged after the entry had been pruned brought it back.
	const beat = op('beat', 'a', 3 * TTL_MS, { beats: 1 })
	assert.deepEqual(settle({ reports: [late[0], late[2], beat] }).resurrected, ['a'])
	const seen = sighted('a', 3 * TTL_MS, recordOf('a'))
	assert.deepEqual(settle({ reports: [late[0], late[2], seen] }).resurrected, ['a'])
})

test('the account: a prune is wrong if the watcher lived, and had beaten in time', () => {
	const claim = op('claim', 'a', 0)
	const after = (ms, reason, killed) =>
		settle({
			killed,
			reports: [
				claim,
				op('beat', 'a', 10, { beats: 1 }),
				pruned(10 + ms, reason, recordOf('a', 1)),
			],
		})
	const problems = ['entries pruned of watchers that beat: a']
	assert.deepEqual(after(TTL_MS - 1, 'expired').problems, problems)
	assert.deepEqual(after(TTL_MS, 'expired').problems, [])
	assert.deepEqual(after(2 * TTL_MS, 'dead').problems, problems)
	assert.deepEqual(after(20, 'dead', { a: 20 }).problems, [])
	assert.deepEqual(after(20, 'dead', { a: 40 }).wronglyPruned, ['a'])
	// It has left; that it is there at all is another matter.
	const left = [claim, op('leave', 'a', 10), pruned(20, 'dead', recordOf('a'))]
	assert.deepEqual(settle({ reports: left }).wronglyPruned, [])
	// A claim is as good as a beat.
	assert.deepEqual(
		settle({ reports: [claim, pruned(20, 'expired', recordOf('a'))] }).wronglyPruned,
		['a'],
	)
})

test('the account: two watchers that have one id at once are told', () => {
	const second = (at) => op('claim', 'b', at, { claim: { id: 'a', pid: 2, startedAt: 5 } })
	const claims = [op('claim', 'a', 0), second(10)]
	assert.deepEqual(settle({ reports: claims }).problems, ['ids that two watchers had at once: a'])
	assert.deepEqual(settle({ reports: [...claims, op('leave', 'a', 20)] }).duplicates, ['a'])
	// The first one's entry may have been gone by then.
	assert.deepEqual(settle({ reports: [...claims, op('leave', 'a', 10)] }).problems, [])
	assert.deepEqual(settle({ reports: claims, killed: { a: 5 } }).problems, [])
	const elsewhere = op('claim', 'b', 10)
	assert.deepEqual(settle({ reports: [claims[0], elsewhere] }).problems, [])
})

test('the account: an entry is its own, unless it was pruned', () => {
	const others = recordOf('a', 0, 2)
	const run = { counts: { a: 1 }, reports: [op('claim', 'a', 0), sighted('a', 10, others)] }
	assert.deepEqual(settle(run).problems, ["entries that became another watcher's: a"])
	// Its beats are not to be found there.
	const beaten = { ...run, reports: [op('claim', 'a', 0), sighted('a', 10, others, 1)] }
	assert.equal(settle(beaten).lostBeats, 0)
	const prune = pruned(2 * TTL_MS, 'expired', recordOf('a'))
	assert.deepEqual(settle({ ...run, reports: [...run.reports, prune] }).problems, [])
	const lost = op('beat', 'a', 10, { beats: 1, error: 'ENTRY_LOST', isLost: true })
	assert.deepEqual(settle({ reports: [op('claim', 'a', 0), lost] }).problems, [
		'entries dropped: a',
	])
})

test('the account of etcd: an entry may go with its lease, and not before', () => {
	const problemsOfLossAt = (at) => {
		const lost = op('beat', 'a', at, { beats: 1, error: 'ENTRY_LOST', isLost: true })
		return settleEtcdAccount({
			...{ runtime: 'none', servers: 1, watchers: 1, leaseMs: TTL_MS },
			...{ kills: [], outages: [], opening: [], registry: { watchers: {} } },
			reports: [op('claim', 'a', 0), lost],
		}).problems
	}
	assert.deepEqual(problemsOfLossAt(TTL_MS + 10), [])
	assert.deepEqual(problemsOfLossAt(TTL_MS - 10), ['entries dropped: a'])
})

test('the account: whatever is done while a victim holds the lock has got in', () => {
	const claims = [op('claim', 'a', 0), op('claim', 'v', 0)]
	const intruding = (report) =>
		settle({ killed: { v: 20 }, heldFor: 10, reports: [...claims, report] }).kills[0].intruders
	assert.equal(intruding(op('beat', 'a', 12, { beats: 1 })), 1)
	// It was done before, or may have been.
	assert.equal(intruding(op('beat', 'a', 9, { beats: 1 })), 0)
	assert.equal(intruding(op('beat', 'a', 19, { beats: 1, endedAt: 21 })), 0)
	assert.equal(intruding(op('beat', 'a', 12, { beats: 1, error: 'LOCK_TIMEOUT' })), 0)
	assert.equal(intruding(op('beat', 'v', 12, { beats: 1 })), 0)
	assert.equal(intruding(op('prune', 'pruner', 12, { pruned: [] })), 0)
	assert.equal(intruding(pruned(12, 'dead', recordOf('v'))), 1)
})

test('what it can not run with is said, with exit code 2', async (t) => {
	for (const [args, message] of [
		[['--watchers', '0'], /--watchers must be a whole number from 1 to 100, not '0'/],
		[['--watchers', '2.5'], /--watchers must be/],
		[['--seconds', 'soon'], /--seconds must be a number above 0, at most 3600, not 'soon'/],
		[['--store', 'redis'], /--store must be file or folder or etcd, not 'redis'/],
		[['--servers', '3'], /--servers is for --store etcd/],
		[['--store', 'etcd', '--servers', '9'], /--servers must be a whole number from 1 to 5/],
		[['--store', 'folder', '--without-lock'], /--without-lock is for --store file/],
		[['--runtime', 'deno'], /--runtime must be node or bun, not 'deno'/],
		[['--runtime', 'toString'], /--runtime must be node or bun, not 'toString'/],
		[['--unknown'], /--unknown/],
	]) {
		const { code, stderr } = await run(t, ...args)
		assert.equal(code, 2)
		assert.match(stderr, message)
	}
	const { code, stdout } = await run(t, '--help')
	assert.equal(code, 0)
	assert.match(stdout, /--without-lock/)
	assert.match(stdout, /--runtime/)
})

test('without a Bun, and without npm to install it, that is said, with exit code 2', (t) => {
	// A clone that has installed no runtimes.
	const { dir } = scratch(t)
	for (const name of ['index.js', 'lib', 'package.json', 'playground', 'scripts', addonFile]) {
		cpSync(join(root, name), join(dir, name), { recursive: true })
	}
	const env = Object.entries(process.env).filter(([name]) => !/^path$/i.test(name))
	const { status, stdout, stderr } = spawnSync(
		process.execPath,
		[join(dir, 'playground', 'run.mjs'), '--runtime', 'bun'],
		{ env: { ...Object.fromEntries(env), PATH: dir }, encoding: 'utf8', timeout: LONGEST_MS },
	)
	assert.equal(status, 2, stdout)
	assert.match(stdout, /^Installing Bun \d/)
	assert.match(stderr, /--runtime bun: there is no Bun, and none can be installed/)
	assert.deepEqual(readdirSync(join(dir, 'target', 'runtimes')), [])
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
		if (line.includes('are in the registry')) process.kill(first, 'SIGKILL')
	})
	assert.deepEqual(ended, [2, null])
	assert.deepEqual(pids.filter(isRunning), [])
	assert.deepEqual(left, [])
})
