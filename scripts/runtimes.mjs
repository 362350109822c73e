// Runs the JavaScript tests by every runtime that the package is made for, and prints a table.

import { spawnSync } from 'node:child_process'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { install, runtimes } from './runtime-installs.mjs'
import { testFiles } from './test-files.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const usage = `npm run test:runtimes -- [name ...] [--only file ...]

Runs every file in __test__ by every runtime, or by those that are named:
  ${runtimes.map(({ label }) => label).join(' ')}
A name without a version stands for all versions. --only takes parts of file names.
Runtimes are installed from npm into target/runtimes, once.`

/** For a test that hangs, not for one that is slow. */
const TIMEOUT_MS = 120_000

/** How each kind of runtime runs a test file, and how its output counts the tests. */
const kinds = {
	node: {
		args: (file, version) => [
			'--test',
			'--test-reporter=tap',
			// Node 18 does not know it.
			...(version.startsWith('18.') ? [] : [`--test-timeout=${TIMEOUT_MS}`]),
			file,
		],
		counts: { passed: /^# pass (\d+)/m, failed: /^# fail (\d+)/m, skipped: /^# skipped (\d+)/m },
	},
	bun: {
		args: (file) => ['test', `--timeout=${TIMEOUT_MS}`, `./${file}`],
		counts: { passed: /^ *(\d+) pass$/m, failed: /^ *(\d+) fail$/m, skipped: /^ *(\d+) skip$/m },
	},
	deno: {
		// Deno need not check the types of the tests.
		args: (file) => ['test', '--allow-all', '--no-check', file],
		counts: { passed: /(\d+) passed/, failed: /(\d+) failed/, skipped: /(\d+) ignored/ },
	},
}

const runFile = ({ kind, version, binary }, file) => {
	const { args, counts } = kinds[kind]
	const { status, signal, stdout, stderr, error } = spawnSync(binary, args(file, version), {
		cwd: root,
		encoding: 'utf8',
		maxBuffer: 64 * 1024 * 1024,
		timeout: 2 * TIMEOUT_MS,
		env: {
			...process.env,
			PATH: `${dirname(binary)}${delimiter}${process.env.PATH}`,
			NO_COLOR: '1',
			DENO_NO_UPDATE_CHECK: '1',
		},
	})
	const output = `${stdout ?? ''}\n${stderr ?? ''}`
	const [passed, failed, skipped] = ['passed', 'failed', 'skipped'].map((what) =>
		Number(counts[what].exec(output)?.[1] ?? 0),
	)
	const reasons = [...output.matchAll(/skipped here: (.+)/g)].map(([, reason]) => reason)
	// One that crashed has counted nothing, and one that ran nothing has shown nothing.
	const broken = status !== 0 || passed + skipped === 0
	if (broken) console.log(output, error?.message ?? '', signal ?? '')
	return { passed, failed: broken ? Math.max(1, failed) : failed, skipped, reasons }
}

/** The error of an installation that failed, which is printed; undefined if it succeeded. */
const failureToInstall = (runtime) => {
	try {
		install(runtime)
		return undefined
	} catch (error) {
		const { label, name, version } = runtime
		console.log(`\n${label}: ${name}@${version} CAN'T BE INSTALLED HERE: ${error.message}\n`)
		return error
	}
}

const runAll = (runtime, files) => {
	const { label } = runtime
	const total = { passed: 0, failed: 0, skipped: 0 }
	const reasons = new Set()
	const startedAt = performance.now()
	for (const file of files) {
		const result = runFile(runtime, file)
		for (const what of Object.keys(total)) total[what] += result[what]
		for (const reason of result.reasons) reasons.add(reason)
		const { passed, failed, skipped } = result
		console.log(`${label}: ${file}: ${passed} passed, ${failed} failed, ${skipped} skipped`)
	}
	return { ...total, reasons, seconds: (performance.now() - startedAt) / 1000 }
}

const printTable = (rows) => {
	const cells = [
		['runtime', 'version', 'passed', 'failed', 'skipped', 'seconds'],
		...rows.map(({ runtime, passed, failed, skipped, seconds }) =>
			[runtime.label, runtime.version, passed, failed, skipped, seconds.toFixed(0)].map(String),
		),
	]
	const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)))
	const pad = (cell, column) =>
		column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
	console.log()
	for (const row of cells) console.log(row.map(pad).join('  '))
	for (const { runtime, reasons } of rows) {
		for (const reason of reasons) console.log(`${runtime.label} skips: ${reason}`)
	}
}

const chosen = (names) => {
	const unknown = names.find(
		(name) => !runtimes.some(({ label, kind }) => name === label || name === kind),
	)
	if (unknown === undefined) {
		return runtimes.filter(
			({ label, kind }) =>
				names.length === 0 || names.some((name) => name === label || name === kind),
		)
	}
	console.error(`no runtime is called ${unknown}\n\n${usage}`)
	process.exit(1)
}

const main = (args) => {
	if (args.includes('--help')) return console.log(usage)
	const at = args.indexOf('--only')
	const names = at < 0 ? args : args.slice(0, at)
	const only = at < 0 ? [''] : args.slice(at + 1)
	const toRun = chosen(names)
	const files = testFiles('__test__').filter((file) => only.some((part) => file.includes(part)))
	// Before the first test runs: every runtime's tests bundle with Bun.
	const missing = new Set(
		runtimes.filter(
			(runtime) =>
				(toRun.includes(runtime) || runtime.label === 'bun@1.4') && failureToInstall(runtime),
		),
	)
	const rows = toRun.map((runtime) =>
		missing.has(runtime)
			? { runtime, passed: 0, failed: 1, skipped: 0, seconds: 0, reasons: [] }
			: { runtime, ...runAll(runtime, files) },
	)
	printTable(rows)
	if (files.length === 0 || missing.size > 0 || rows.some(({ failed }) => failed > 0))
		process.exit(1)
}

main(process.argv.slice(2))
