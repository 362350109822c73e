// Windows on x64: its programs are built by mingw and run by Wine.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, buildProgram } from '../build.mjs'
import { bundle } from '../bundle.mjs'
import { installRustTarget } from '../release/tools.mjs'
import { runJavaScriptFiles } from './javascript-files.mjs'
import { leftOutOf, runProbes, whyNotRust } from './lacks.mjs'
import { lacks } from './not-by-wine.mjs'
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
	whyNotRun: (test) => whyNotRust(lacks, test),
	endAll,
}

const javaScript = {
	start: (args, timeout) =>
		wine(nodeProgram, args, { timeout, env: { ESBUILD_BINARY_PATH: esbuildProgram } }),
	leftOutOf: (file) => leftOutOf(lacks, file),
	endAll,
}

const runProbe = (source) => {
	const cwd = emptyFolder()
	writeFileSync(join(cwd, 'probe.mjs'), source)
	return wine(nodeProgram, ['probe.mjs'], { cwd, timeout: PROBE_TIMEOUT_MS }).output
}

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
	const suites = [runProbes('what Wine lacks', lacks, runProbe)]
	if (!only) suites.push(...runRustSuites(rust))
	await buildFiles()
	suites.push(runJavaScriptFiles(javaScript, only))
	return suites
}
