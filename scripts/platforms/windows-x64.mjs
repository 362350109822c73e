// Windows on x64: its programs are built by mingw and run by Wine.

import { execFileSync, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, buildProgram } from '../build.mjs'
import { bundle } from '../bundle.mjs'
import { testFiles } from '../test-files.mjs'
import { lacks, leftOutOf, whyNotRust } from './not-by-wine.mjs'
import { whyNotOnWindows } from './not-on-windows.mjs'
import {
	emptyFolder,
	endAll,
	installWine,
	libnodeFolder,
	nodeProgram,
	wine,
	wineEnvironment,
} from './wine.mjs'

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

/** What Wine lacks is shown each time: a test is not left out for what a newer Wine has. */
const problemsOfProbes = () =>
	lacks.flatMap(({ lack, probe }) => {
		const cwd = emptyFolder()
		const imports = `import fs from 'node:fs'\nimport { spawnSync } from 'node:child_process'\n`
		writeFileSync(join(cwd, 'probe.mjs'), imports + probe)
		const { output } = wine(nodeProgram, ['probe.mjs'], { cwd, timeout: TEST_TIMEOUT_MS })
		const said = output.trim().split('\n').at(-1)
		console.log(`${lack}: ${said === 'lacks' ? 'so it is' : `no: ${output.trim()}`}`)
		return said === 'lacks' ? [] : [lack]
	})

const runRust = (suite, choice) => {
	const startedAt = performance.now()
	const all = listed(cargo(['test', ...features, ...choice, '--', '--list']).stdout)
	const here = ['test', ...features, '--target', TARGET, ...choice, '--']
	const inWindows = listed(cargo([...here, '--list'], { env: windows }).stdout)
	const notBuilt = all
		.filter((test) => !inWindows.includes(test))
		.map((test) => ({ test, reason: whyNotOnWindows(test) }))
	const unexplained = notBuilt.filter(({ reason }) => reason === undefined)
	for (const { test } of unexplained) {
		console.log(`${suite}: ${test} is not built for Windows, and not-on-windows.mjs has no reason`)
	}
	const notByWine = inWindows
		.map((test) => ({ test, reason: whyNotRust(test) }))
		.filter(({ reason }) => reason !== undefined)
	const without = notByWine.flatMap(({ test }) => ['--skip', test])
	const { status, stdout, stderr } = cargo([...here, '--exact', '--test-threads=4', ...without], {
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
		leftOut: [...notBuilt.filter(({ reason }) => reason !== undefined), ...notByWine],
		seconds: (performance.now() - startedAt) / 1000,
	}
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&')

/** Runs a file of tests alone: what one of them leaves running ends before the next file begins. */
const runFile = (file) => {
	const { all, tests } = leftOutOf(file)
	if (all) return { passed: 0, failed: 0, leftOut: [{ test: file, reason: all }] }
	const without = tests.map(({ test }) => `--test-skip-pattern=/^${escaped(test)}$/`)
	const args = ['--test-reporter=tap', `--test-timeout=${TEST_TIMEOUT_MS}`, ...without, file]
	const { status, output, timedOut } = wine(nodeProgram, args, { timeout: FILE_TIMEOUT_MS })
	endAll()
	const count = (what) => Number(new RegExp(`^# ${what} (\\d+)`, 'm').exec(output)?.[1] ?? 0)
	const passed = count('pass')
	const skipped = [...output.matchAll(/^ *ok \d+ - (.*) # SKIP(.*)$/gm)]
	const isBroken = status !== 0 || passed + skipped.length === 0
	const failed = isBroken ? Math.max(1, count('fail') + count('cancelled')) : 0
	if (isBroken) console.log(output)
	const how = timedOut ? `, not done after ${FILE_TIMEOUT_MS / 1000} s` : ''
	console.log(`${file}: ${passed} passed, ${failed} failed${how}`)
	const leftOut = [
		...tests.map(({ test, reason }) => ({ test: `${file}: ${test}`, reason })),
		...skipped.map(([, test, reason]) => ({ test: `${file}: ${test}`, reason: reason.trim() })),
	]
	return { passed, failed, leftOut }
}

const runJavaScript = async ({ only }) => {
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
	const files = testFiles('__test__').filter(
		(file) => !only || only.some((part) => file.includes(part)),
	)
	const results = files.map(runFile)
	const sum = (what) => results.reduce((total, result) => total + result[what], 0)
	return {
		suite: 'JavaScript',
		passed: sum('passed'),
		failed: sum('failed'),
		leftOut: results.flatMap(({ leftOut }) => leftOut),
		seconds: (performance.now() - startedAt) / 1000,
	}
}

export const run = async (options) => {
	const problems = problemsOfProbes()
	const probes = { suite: 'what Wine lacks', passed: lacks.length - problems.length }
	const suites = [{ ...probes, failed: problems.length, leftOut: [], seconds: 0 }]
	// The programs that tests start.
	if (!options.only)
		cargo(['build', ...features, '--target', TARGET, '--examples'], { stdio: 'inherit' })
	for (const [suite, choice] of options.only ? [] : Object.entries(rustSuites)) {
		suites.push(runRust(suite, choice))
	}
	suites.push(await runJavaScript(options))
	return suites
}
