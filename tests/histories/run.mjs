// Histories of processes of every kind, under kills, freezes and steps of the clock, each judged: is there
// an order of its calls that explains all answers? `npm run test:histories`; `-- --long` takes an hour.

import { execFileSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { installed } from '../../scripts/runtime-installs.mjs'
import { kindsOf } from './clients.mjs'
import { runHistory } from './history.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const SECONDS = { gate: 30, long: 3_600 }
const SECONDS_PER_HISTORY = 7

const HELP = `Histories of many processes on one registry, judged for linearizability.

Usage: npm run test:histories -- [options]

  --long           for an hour, instead of half a minute
  --seconds S      for so many seconds
  --seed N         begin with this seed: runs the calls and accidents of a failure again
  --scenario NAME  only this scenario: ours, older or unlocked
  --help           show this`

const scenarios = {
	/** Frozen for longer than the stale threshold, and with a clock that is set. */
	ours: {
		processes: ['sync', 'async', 'async', 'rust', 'rust', 'bun'],
		options: { timeoutMs: 30_000, staleMs: 500, durable: false },
		freezeMs: 1_200,
		setsClock: true,
	},
	/** Beside older argus, which takes over by age. */
	older: {
		processes: ['sync', 'async', 'rust', 'bun', 'older', 'older'],
		options: { timeoutMs: 30_000, staleMs: 10_000, durable: true },
		freezeMs: 800,
		setsClock: false,
	},
	/** Updates without a lock, which have to be found out. */
	unlocked: {
		processes: ['unlocked', 'unlocked'],
		options: { timeoutMs: 30_000, staleMs: 10_000, durable: false },
		freezeMs: 0,
		setsClock: false,
		isWrong: true,
	},
}

const buildRust = () => {
	const build = ['build', '--quiet', '--locked', '--features', 'cli', '--example', 'history_client']
	execFileSync('cargo', build, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
	return join(
		process.env.CARGO_TARGET_DIR ?? join(root, 'target'),
		'debug',
		'examples',
		'history_client',
	)
}

const show = (name, facts) => {
	const { seed, seconds, calls, unanswered, failed, kills, freezes, steps, keys } = facts
	const failures = Object.entries(failed).map(([code, count]) => `${count} ${code}`)
	console.log(
		`${name.padEnd(9)} seed ${String(seed).padEnd(10)} ${seconds} s  ${calls} calls, ${unanswered} killed in one, ` +
			`${failures.join(', ') || 'none'} failed; ${kills} kills, ${freezes} freezes, ${steps} clock steps; ` +
			`${keys} keys`,
	)
}

const main = async () => {
	const { values } = parseArgs({
		options: {
			long: { type: 'boolean', default: false },
			seconds: { type: 'string' },
			seed: { type: 'string' },
			scenario: { type: 'string' },
			help: { type: 'boolean', default: false },
		},
	})
	if (values.help) {
		console.log(HELP)
		return 0
	}
	const seconds = Number(values.seconds ?? (values.long ? SECONDS.long : SECONDS.gate))
	const bun = installed('bun@1.4')
	if (!bun)
		console.log('Without Bun, which is not installed: node scripts/runtime-installs.mjs bun@1.4')
	const kinds = kindsOf({ bun, rust: buildRust() })
	const names = values.scenario ? [values.scenario] : ['ours', 'older']
	let seed = Number(values.seed ?? Date.now() % 2 ** 31)
	const violations = []
	let [histories, calls] = [0, 0]
	const run = async (name, length) => {
		const scenario = { ...scenarios[name] }
		scenario.processes = scenario.processes.filter((kind) => kinds[kind])
		const facts = await runHistory({ scenario, kinds, seed, seconds: length })
		show(name, facts)
		histories += 1
		calls += facts.calls
		const { problems, left } = facts
		if (left.length > 0) problems.push(`litter: ${left.join(', ')}`)
		return problems.map(
			(problem) => `--scenario ${name} --seed ${seed} --seconds ${length}: ${problem}`,
		)
	}
	if (!values.scenario && (await run('unlocked', 1)).length === 0) {
		violations.push('updates without a lock were not found out')
	}
	const started = performance.now()
	for (let index = 0; index === 0 || performance.now() - started < seconds * 1_000; index += 1) {
		violations.push(
			...(await run(names[index % names.length], Math.min(SECONDS_PER_HISTORY, seconds))),
		)
		if (values.seed) break
		seed += 1
	}
	for (const violation of violations) console.log(`VIOLATION ${violation}`)
	console.log(`${histories} histories, ${calls} calls, ${violations.length} violations`)
	const row = {
		what: `${histories} histories of ${Object.keys(kinds).length - 1} kinds of processes`,
		size: `${calls} calls`,
		seconds: (performance.now() - started) / 1_000,
		violations: violations.length,
		detail: violations.join('; '),
	}
	// For the table of scripts/proof.mjs.
	console.log(`proof: ${JSON.stringify(row)}`)
	return violations.length === 0 ? 0 : 1
}

process.exitCode = await main()
