// Linux on arm64 with glibc: the files as they are released and the Rust tests, run by qemu.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { chosenTargets } from '../release/targets.mjs'
import { installPythonTools, installRustTarget, pythonPrograms } from '../release/tools.mjs'
import { runJavaScriptFiles, SHORT_FILES } from './javascript-files.mjs'
import { runProbes, whyNotRust } from './lacks.mjs'
import { lacks, leftOutOf } from './not-by-qemu.mjs'
import { buildPackageCopy } from './package-copy.mjs'
import { asArm64, installQemu, nodeProgram } from './qemu.mjs'
import { runRustSuites } from './rust-suites.mjs'

const [release] = chosenTargets(['linux-arm64-gnu'])

export const describe = 'qemu, with a Node for arm64'

export const short = { suites: ['unit tests'], files: SHORT_FILES, kinds: ['addon'] }

export const install = () => {
	installPythonTools()
	installRustTarget(release.target)
	installQemu()
}

/** For a machine that does other work besides. */
const SLOWNESS = 4

const PROBE_TIMEOUT_MS = 120_000

const rust = {
	cargo: 'cargo-zigbuild',
	target: release.target,
	env: {
		...process.env,
		PATH: `${pythonPrograms}${delimiter}${process.env.PATH}`,
		CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER: asArm64.join(' '),
	},
	whyNotRun: (test) => whyNotRust(lacks, test),
	slowness: SLOWNESS,
}

/** Outside of this package, whose addon the loader would find from inside of it. */
const temp = mkdtempSync(join(tmpdir(), 'argus-registry-arm64-'))
process.once('exit', () => rmSync(temp, { recursive: true, force: true }))

const tree = join(temp, 'package')

const environment = {
	...process.env,
	// That of this machine: what it bundles is for no processor.
	ESBUILD_BINARY_PATH: join(tree, 'node_modules', '@esbuild', 'linux-x64', 'bin', 'esbuild'),
}

const start = (args, timeout, cwd = tree) => {
	const [command, ...words] = [...asArm64, nodeProgram, ...args]
	const { status, stdout, stderr, error } = spawnSync(command, words, {
		cwd,
		env: environment,
		encoding: 'utf8',
		maxBuffer: 1 << 28,
		timeout,
		killSignal: 'SIGKILL',
	})
	return { status, output: `${stdout}${stderr}`, timedOut: error?.code === 'ETIMEDOUT' }
}

const runProbe = (source) => {
	const cwd = mkdtempSync(join(temp, 'probe-'))
	writeFileSync(join(cwd, 'probe.mjs'), source)
	return start(['probe.mjs'], PROBE_TIMEOUT_MS, cwd).output
}

export const run = async (choice) => {
	const suites = choice === short ? [] : [runProbes('what qemu lacks', lacks, runProbe)]
	suites.push(...runRustSuites(rust, choice?.suites))
	await buildPackageCopy(release, tree, choice?.kinds)
	suites.push(runJavaScriptFiles({ start, leftOutOf, slowness: SLOWNESS }, choice?.files))
	return suites
}
