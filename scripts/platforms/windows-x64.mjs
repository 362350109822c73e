// Windows on x64: its programs are built by mingw and run by Wine.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, buildProgram } from '../build.mjs'
import { bundle } from '../bundle.mjs'
import { installRustTarget } from '../release/tools.mjs'
import { runJavaScriptFiles } from './javascript-files.mjs'
import { lacks, leftOutOf, whyNotRust } from './not-by-wine.mjs'
import { whyNotOnWindows } from './not-on-windows.mjs'
import { runRustSuites } from './rust-suites.mjs'
import {
	emptyFolder,
	endAll,
	esbuildProgram,
	installWine,
	libnodeFolder,
	nodeProgram,
	wine,
	wineEnvironment,
} from './wine.mjs'

const TARGET = 'x86_64-pc-windows-gnu'

export const describe = 'Wine, with a Node for Windows'

export const install = () => {
	installWine()
	installRustTarget(TARGET)
}

const PROBE_TIMEOUT_MS = 120_000

const rust = {
	cargo: 'cargo',
	target: TARGET,
	env: {
		...process.env,
		...wineEnvironment,
		[`CARGO_TARGET_${TARGET.toUpperCase().replaceAll('-', '_')}_RUNNER`]: 'wine',
	},
	whyNotBuilt: whyNotOnWindows,
	whyNotRun: whyNotRust,
	endAll,
}

const javaScript = {
	start: (args, timeout) =>
		wine(nodeProgram, args, { timeout, env: { ESBUILD_BINARY_PATH: esbuildProgram } }),
	leftOutOf,
	endAll,
}

/** What Wine lacks is shown each time: a test is not left out for what a newer Wine has. */
const problemsOfProbes = () =>
	lacks.flatMap(({ lack, probe }) => {
		const cwd = emptyFolder()
		const imports = `
			import { spawnSync } from 'node:child_process'
			import fs from 'node:fs'
			import path from 'node:path'
		`
		writeFileSync(join(cwd, 'probe.mjs'), imports + probe)
		const { output } = wine(nodeProgram, ['probe.mjs'], { cwd, timeout: PROBE_TIMEOUT_MS })
		const said = output.trim().split('\n').at(-1)
		console.log(`${lack}: ${said === 'lacks' ? 'so it is' : `no: ${output.trim()}`}`)
		return said === 'lacks' ? [] : [lack]
	})

const buildFiles = async () => {
	process.env.LIBNODE_PATH = libnodeFolder()
	await bundle()
	// Quick to build. The packages' own files are tested by what makes these.
	Object.assign(process.env, {
		CARGO_PROFILE_PACKAGED_LTO: 'off',
		CARGO_PROFILE_PACKAGED_CODEGEN_UNITS: '16',
	})
	build(TARGET)
	buildProgram(TARGET)
}

export const run = async ({ only }) => {
	const problems = problemsOfProbes()
	const probes = { suite: 'what Wine lacks', passed: lacks.length - problems.length }
	const suites = [{ ...probes, failed: problems.length, leftOut: [], seconds: 0 }]
	if (!only) suites.push(...runRustSuites(rust))
	await buildFiles()
	suites.push(runJavaScriptFiles(javaScript, only))
	return suites
}
