// Windows on x64: its programs are built by mingw and run by Wine.

import { execFileSync, spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, buildProgram } from '../build.mjs'
import { bundle } from '../bundle.mjs'
import { testFiles } from '../test-files.mjs'
import { whyNotOnWindows } from './not-on-windows.mjs'
import { endAll, installWine, libnodeFolder, nodeProgram, wine, wineEnvironment } from './wine.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const TARGET = 'x86_64-pc-windows-gnu'

export const describe = 'Wine, with a Node for Windows'

export const install = () => {
	installWine()
	const installed = execFileSync('rustup', ['target', 'list', '--installed'], { encoding: 'utf8' })
	if (!installed.split('\n').includes(TARGET)) {
		execFileSync('rustup', ['target', 'add', TARGET], { stdio: 'inherit' })
	}
}

/** For a suite that hangs, not for one that is slow. */
const RUST_TIMEOUT_MS = 900_000
const FILE_TIMEOUT_MS = 300_000
const TEST_TIMEOUT_MS = 120_000

const cargo = (args, options = {}) =>
	spawnSync('cargo', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options })

/** The names of the tests in one of cargo's test programs. */
const listed = (output) => [...output.matchAll(/^(.+): test$/gm)].map(([, name]) => name)

const features = ['--locked', '--features', 'cli,tokio']
const windows = {
	...process.env,
	...wineEnvironment,
	[`CARGO_TARGET_${TARGET.toUpperCase().replaceAll('-', '_')}_RUNNER`]: 'wine',
}

/** The suites of cargo, by the arguments that choose them. */
const rustSuites = {
	'unit tests': ['--lib'],
	'tests/it': ['--test', 'it'],
	'tests/cli': ['--test', 'cli'],
}

/** The last result in a program's output: some tests start the program again, which prints a result of its own. */
const lastResult = (output) => output.slice(Math.max(0, output.lastIndexOf('test result: ')))

/** Tests, or modules of them, that fail by what Wine lacks or take minutes there. */
const NOT_BY_WINE = {
	'doctor::': 'Wine replaces no file that is open, for which the doctor tries again and again',
	'watch::registry_watch::folders_that_are_deleted_and_made_again_under_one_name_are_watched':
		'Wine does not tell that a watched folder was deleted',
}

const runRust = (suite, choice) => {
	const startedAt = performance.now()
	const all = listed(cargo(['test', ...features, ...choice, '--', '--list']).stdout)
	const here = ['test', ...features, '--target', TARGET, ...choice, '--']
	const inWindows = new Set(listed(cargo([...here, '--list'], { env: windows }).stdout))
	const skipped = all
		.filter((test) => !inWindows.has(test))
		.map((test) => ({ test, reason: whyNotOnWindows(test) }))
	const unexplained = skipped.filter(({ reason }) => reason === undefined)
	for (const { test } of unexplained) {
		console.log(`${suite}: ${test} is not built for Windows, and not-on-windows.mjs has no reason`)
	}
	for (const [test, reason] of Object.entries(NOT_BY_WINE)) {
		for (const found of inWindows) if (found.startsWith(test)) skipped.push({ test: found, reason })
	}
	const without = Object.keys(NOT_BY_WINE).flatMap((test) => ['--skip', test])
	const { status, stdout, stderr } = cargo([...here, '--test-threads=4', ...without], {
		env: windows,
		timeout: RUST_TIMEOUT_MS,
		killSignal: 'SIGKILL',
	})
	endAll()
	const count = (what) => Number(new RegExp(`(\\d+) ${what};`).exec(lastResult(stdout))?.[1] ?? 0)
	const passed = count('passed')
	const failed = count('failed')
	const broken = status !== 0 || passed === 0
	if (broken) console.log(stdout, stderr)
	return {
		suite,
		passed,
		failed: (broken ? Math.max(1, failed) : failed) + unexplained.length,
		skipped: skipped.filter(({ reason }) => reason !== undefined),
		seconds: (performance.now() - startedAt) / 1000,
	}
}

/**
 * Those that pass by Wine. In most of the others some tests delete a file that is open, and expect its name to be
 * free at once, as on Windows 10 with NTFS; `--all` runs them.
 */
const CHOSEN_FILES = ['api/values.test.mjs', 'codec/byte-order-mark.test.mjs']

const runJavaScript = async ({ only, all }) => {
	const startedAt = performance.now()
	process.env.LIBNODE_PATH = libnodeFolder()
	await bundle()
	// Quick to build. The packages' own files are tested by what makes these.
	Object.assign(process.env, {
		CARGO_PROFILE_PACKAGED_LTO: 'off',
		CARGO_PROFILE_PACKAGED_CODEGEN_UNITS: '16',
	})
	build(TARGET)
	buildProgram(TARGET)
	const parts = only ?? (all ? [''] : CHOSEN_FILES)
	const files = testFiles('__test__').filter((file) => parts.some((part) => file.includes(part)))
	const total = { suite: 'JavaScript', passed: 0, failed: 0, skipped: [] }
	for (const file of files) {
		const args = ['--test-reporter=tap', `--test-timeout=${TEST_TIMEOUT_MS}`, file]
		const { status, output } = wine(nodeProgram, args, { timeout: FILE_TIMEOUT_MS })
		endAll()
		const count = (what) => Number(new RegExp(`^# ${what} (\\d+)`, 'm').exec(output)?.[1] ?? 0)
		const [passed, failed] = [count('pass'), count('fail')]
		const broken = status !== 0 || passed + count('skipped') === 0
		if (broken) console.log(output)
		total.passed += passed
		total.failed += broken ? Math.max(1, failed) : failed
		for (const [, test, reason] of output.matchAll(/^ *ok \d+ - (.*) # SKIP(.*)$/gm)) {
			total.skipped.push({ test: `${file}: ${test}`, reason: reason.trim() })
		}
		console.log(`${file}: ${passed} passed, ${broken ? Math.max(1, failed) : failed} failed`)
	}
	return { ...total, seconds: (performance.now() - startedAt) / 1000 }
}

export const run = async (options) => {
	const suites = []
	// The programs that tests start.
	if (!options.only)
		cargo(['build', ...features, '--target', TARGET, '--examples'], { stdio: 'inherit' })
	for (const [suite, choice] of options.only ? [] : Object.entries(rustSuites)) {
		suites.push(runRust(suite, choice))
	}
	suites.push(await runJavaScript(options))
	return suites
}
