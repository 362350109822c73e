// Linux on x64 with musl: the files as they are released, with a Node for musl; the Rust tests as static programs.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { copyMuslNode, installMuslNode } from '../release/musl.mjs'
import { chosenTargets } from '../release/targets.mjs'
import { installPythonTools, installRustTarget, pythonPrograms } from '../release/tools.mjs'
import { runJavaScriptFiles, SHORT_FILES } from './javascript-files.mjs'
import { leftOutOf, whyNotStatic } from './not-by-musl.mjs'
import { buildPackageCopy } from './package-copy.mjs'
import { runRustSuites } from './rust-suites.mjs'

const [release] = chosenTargets(['linux-x64-musl'])

export const describe = 'a Node for musl, and static programs'

export const short = { suites: ['unit tests'], files: SHORT_FILES, kinds: ['addon'] }

export const install = () => {
	installPythonTools()
	installRustTarget(release.target)
	installMuslNode()
}

const rust = {
	cargo: 'cargo-zigbuild',
	target: release.target,
	env: {
		...process.env,
		PATH: `${pythonPrograms}${delimiter}${process.env.PATH}`,
		RUSTFLAGS: '-Ctarget-feature=+crt-static',
	},
	whyNotRun: whyNotStatic,
}

/** Outside of this package, whose addon the loader would find from inside of it. */
const temp = mkdtempSync(join(tmpdir(), 'argus-registry-musl-'))
process.once('exit', () => rmSync(temp, { recursive: true, force: true }))

const tree = join(temp, 'package')
let node = ''

const buildFiles = async (choice) => {
	await buildPackageCopy(release, tree, choice?.kinds)
	node = copyMuslNode(join(temp, 'node'))
}

const start = (args, timeout) => {
	const { status, stdout, stderr, error } = spawnSync(node, args, {
		cwd: tree,
		encoding: 'utf8',
		maxBuffer: 1 << 28,
		timeout,
		killSignal: 'SIGKILL',
	})
	return { status, output: `${stdout}${stderr}`, timedOut: error?.code === 'ETIMEDOUT' }
}

export const run = async (choice) => {
	const suites = runRustSuites(rust, choice?.suites)
	await buildFiles(choice)
	suites.push(runJavaScriptFiles({ start, leftOutOf }, choice?.files))
	return suites
}
