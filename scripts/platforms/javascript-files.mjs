// Runs files of JavaScript tests one after the other, each alone: what one of them leaves running ends before the next
// file begins.

import { testFiles } from '../test-files.mjs'

/** For a file that hangs, not for one that is slow. */
const FILE_TIMEOUT_MS = 600_000
const TEST_TIMEOUT_MS = 120_000

/** Files of the short choice: the loader, updates, locks, and registries in folders. They need the addon alone. */
export const SHORT_FILES = [
	'addon/loaded-whole',
	'api/update',
	'locking/guard',
	'locking/lockfile',
	'store/folder',
]

const FLAGS = [
	// Without this flag the timeout is that of no test; with the next one the tests run in the process that is started.
	'--test',
	'--experimental-test-isolation=none',
	'--test-reporter=tap',
	// Not for the processes that tests fork.
	'--import=data:text/javascript,process.execArgv.length=0',
]

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/**
 * How a platform runs a file.
 * - `start`: starts its Node with arguments, for at most so many milliseconds; returns how it ended, and what it printed;
 * - `leftOutOf`: of a file, the reason why it is left out as a whole (`all`), and the tests that are, each with its reason;
 * - `slowness`: how many times as long as usual a file and a test may take;
 * - `endAll`: ends what a file has left running.
 * @typedef {{ start: (args: string[], timeout: number) => { status: number | null, output: string, timedOut: boolean },
 *   leftOutOf?: (file: string) => { all?: string, tests: { test: string, reason: string }[] },
 *   slowness?: number, endAll?: () => void }} Runner
 */

/** @param {string} file @param {Runner} runner */
const runFile = (file, { start, leftOutOf, slowness = 1, endAll }) => {
	const { all, tests } = leftOutOf?.(file) ?? { tests: [] }
	if (all) return { passed: 0, failed: 0, leftOut: [{ test: file, reason: all }] }
	const without = tests.map(({ test }) => `--test-skip-pattern=/^${escaped(test)}$/`)
	const limit = `--test-timeout=${TEST_TIMEOUT_MS * slowness}`
	const args = [...FLAGS, limit, ...without, file]
	const { status, output, timedOut } = start(args, FILE_TIMEOUT_MS * slowness)
	endAll?.()
	// A file that hangs prints no sums.
	const results = [...output.matchAll(/^ *(not ok|ok) \d+ - (.*?)(?: # SKIP(.*))?$/gm)].map(
		([, result, test, skipped]) => ({ result, test, skipped }),
	)
	const skipped = results.filter((each) => each.skipped !== undefined)
	const count = (result) => results.filter((each) => each.result === result).length
	const passed = count('ok') - skipped.length
	const isBroken = status !== 0 || count('ok') === 0
	if (isBroken) console.log(output)
	const unexplained = skipped.filter((each) => each.skipped.trim() === '')
	for (const { test } of unexplained) {
		console.log(`${file}: ${test} is skipped, and no reason is known`)
	}
	const failed = (isBroken ? Math.max(1, count('not ok')) : 0) + unexplained.length
	const how = timedOut ? `, not done after ${(FILE_TIMEOUT_MS * slowness) / 1000} s` : ''
	console.log(`${file}: ${passed} passed, ${failed} failed${how}`)
	const leftOut = [
		...tests.map(({ test, reason }) => ({ test: `${file}: ${test}`, reason })),
		...skipped
			.filter((each) => !unexplained.includes(each))
			.map(({ test, skipped }) => ({ test: `${file}: ${test}`, reason: skipped.trim() })),
	]
	return { passed, failed, leftOut }
}

/** Runs all files of `__test__` and the playground, or those whose names contain one of `only`. @param {Runner} runner */
export const runJavaScriptFiles = (runner, only) => {
	const startedAt = performance.now()
	const files = ['__test__', 'playground']
		.flatMap(testFiles)
		.filter((file) => !only || only.some((part) => file.includes(part)))
	const results = files.map((file) => runFile(file, runner))
	const sum = (what) => results.reduce((total, result) => total + result[what], 0)
	return {
		suite: 'JavaScript',
		passed: sum('passed'),
		failed: sum('failed'),
		leftOut: results.flatMap(({ leftOut }) => leftOut),
		seconds: (performance.now() - startedAt) / 1000,
	}
}
