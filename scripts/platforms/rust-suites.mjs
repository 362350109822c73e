// Runs the Rust tests for another target than this machine's.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** For a suite that hangs, not for one that is slow. */
const TIMEOUT_MS = 900_000

const FEATURES = ['--locked', '--features', 'cli,tokio']

/** The suites of cargo, by the arguments that choose them. */
const suites = {
	'unit tests': ['--lib'],
	'tests/it': ['--test', 'it'],
	'tests/cli': ['--test', 'cli'],
}

const run = (command, args, options = {}) =>
	spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options })

/** The names of the tests in one of cargo's test programs. */
const listed = (output) => [...output.matchAll(/^(.+): test$/gm)].map(([, name]) => name)

/** The last result in a program's output: some tests start the program again, which prints a result of its own. */
const lastResult = (output) => output.slice(Math.max(0, output.lastIndexOf('test result: ')))

/**
 * How the tests of a platform are built and run.
 * - `cargo`: the program that builds them for `target`, with the environment `env`;
 * - `whyNotBuilt`, `whyNotRun`: the reason why a test, by its name, is not built for the platform, or is not run;
 *   undefined if there is none;
 * - `slowness`: how many times as long as usual a suite may take;
 * - `endAll`: ends what a suite has left running.
 * @typedef {{ cargo: string, target: string, env: NodeJS.ProcessEnv, whyNotBuilt?: (test: string) => string | undefined,
 *   whyNotRun?: (test: string) => string | undefined, slowness?: number, endAll?: () => void }} Platform
 */

/** @param {string} suite @param {Platform} platform */
const runSuite = (suite, platform) => {
	const { cargo, target, env, whyNotBuilt, whyNotRun, slowness = 1, endAll } = platform
	const startedAt = performance.now()
	const choice = suites[suite]
	const all = listed(run('cargo', ['test', ...FEATURES, ...choice, '--', '--list']).stdout)
	const there = ['test', ...FEATURES, '--target', target, ...choice, '--']
	const built = listed(run(cargo, [...there, '--list'], { env }).stdout)
	const notBuilt = all
		.filter((test) => !built.includes(test))
		.map((test) => ({ test, reason: whyNotBuilt?.(test) }))
	const unexplained = notBuilt.filter(({ reason }) => reason === undefined)
	for (const { test } of unexplained) {
		console.log(`${suite}: ${test} is not built for ${target}, and no reason is known`)
	}
	const notRun = built
		.map((test) => ({ test, reason: whyNotRun?.(test) }))
		.filter(({ reason }) => reason !== undefined)
	const without = notRun.flatMap(({ test }) => ['--skip', test])
	const args = [...there, '--exact', '--test-threads=4', ...without]
	const { status, stdout, stderr } = run(cargo, args, {
		env,
		timeout: TIMEOUT_MS * slowness,
		killSignal: 'SIGKILL',
	})
	endAll?.()
	const count = (what) => Number(new RegExp(`(\\d+) ${what};`).exec(lastResult(stdout))?.[1] ?? 0)
	const passed = count('passed')
	const failed = count('failed')
	const broken = status !== 0 || passed === 0
	if (broken) console.log(stdout, stderr)
	console.log(`${suite}: ${passed} passed, ${failed} failed`)
	return {
		suite,
		passed,
		failed: (broken ? Math.max(1, failed) : failed) + unexplained.length,
		leftOut: [...notBuilt.filter(({ reason }) => reason !== undefined), ...notRun],
		seconds: (performance.now() - startedAt) / 1000,
	}
}

/**
 * What is run of a platform's tests: Rust suites, and the JavaScript test files whose names contain one of `files`,
 * with files of the package of these kinds, or of all.
 * @typedef {{ suites: string[], files: string[], kinds?: string[] }} Choice
 */

/** Runs all suites, or those that are named. @param {Platform} platform @param {string[]} [names] */
export const runRustSuites = (platform, names = Object.keys(suites)) => {
	if (names.length === 0) return []
	const { cargo, target, env } = platform
	// The programs that tests start.
	run(cargo, ['build', ...FEATURES, '--target', target, '--examples'], { env, stdio: 'inherit' })
	return names.map((suite) => runSuite(suite, platform))
}
