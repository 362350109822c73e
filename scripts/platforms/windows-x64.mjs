// Windows on x64: its programs are built by mingw and run by Wine.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, buildProgram } from '../build.mjs'
import { bundle } from '../bundle.mjs'
import { installRustTarget } from '../release/tools.mjs'
import {
	emptyFolder,
	endAll,
	esbuildProgram,
	installWine,
	libnodeFolder,
	nodeProgram,
	wine,
	wineEnvironment,
} from '../release/wine.mjs'
import { runJavaScriptFiles, SHORT_FILES } from './javascript-files.mjs'
import { leftOutOf, runProbes, whyNotRust } from './lacks.mjs'
import { lacks } from './not-by-wine.mjs'
import { whyNotOnWindows } from './not-on-windows.mjs'
import { runRustSuites } from './rust-suites.mjs'

const TARGET = 'x86_64-pc-windows-gnu'

export const describe = 'Wine, with a Node for Windows'

export const short = { suites: ['unit tests'], files: SHORT_FILES, kinds: ['addon'] }

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

const buildFiles = async (kinds) => {
	process.env.LIBNODE_PATH = libnodeFolder()
	await bundle()
	// Quick to build. The packages' own files are tested by what makes these.
	Object.assign(process.env, {
		CARGO_PROFILE_PACKAGED_LTO: 'off',
		CARGO_PROFILE_PACKAGED_CODEGEN_UNITS: '16',
	})
	build(TARGET)
	if (!kinds || kinds.includes('program')) buildProgram(TARGET)
}

export const run = async (choice) => {
	const suites = choice === short ? [] : [runProbes('what Wine lacks', lacks, runProbe)]
	suites.push(...runRustSuites(rust, choice?.suites))
	await buildFiles(choice?.kinds)
	suites.push(runJavaScriptFiles(javaScript, choice?.files))
	return suites
}
