// Linux on x64 with musl: the files as they are released, with a Node for musl; the Rust tests as static programs.

import { spawnSync } from 'node:child_process'
import {
	copyFileSync,
	cpSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	rmSync,
	symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { linkEtcdPackage } from '../build.mjs'
import { bundle } from '../bundle.mjs'
import { copyMuslNode, installMuslNode } from '../release/musl.mjs'
import { filesFolder } from '../release/paths.mjs'
import { chosenTargets, kinds, releaseTargets } from '../release/targets.mjs'
import { installPythonTools, installRustTarget, pythonPrograms } from '../release/tools.mjs'
import { runJavaScriptFiles } from './javascript-files.mjs'
import { leftOutOf, whyNotStatic } from './not-by-musl.mjs'
import { runRustSuites } from './rust-suites.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const PLATFORM = 'linux-x64-musl'
const [release] = chosenTargets([PLATFORM])

export const describe = 'a Node for musl, and static programs'

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

/** A copy of this package with the files of this platform alone: tests take those that they find for this machine's. */
const tree = join(temp, 'package')
let node = ''

/** Where the loaders look for the file of each kind. */
const folders = { addon: tree, program: tree, etcdAddon: join(tree, 'etcd', 'npm') }

const copyTree = () => {
	const builtFiles = releaseTargets.flatMap((other) =>
		Object.keys(kinds).map((kind) => other[kind]),
	)
	mkdirSync(tree)
	for (const name of readdirSync(root).filter((name) => !['.git', 'target'].includes(name))) {
		cpSync(join(root, name), join(tree, name), {
			recursive: true,
			verbatimSymlinks: true,
			filter: (path) => !builtFiles.includes(basename(path)),
		})
	}
	linkEtcdPackage(tree)
	// Programs in Rust that tests start.
	symlinkSync(join(root, 'target'), join(tree, 'target'))
}

const buildFiles = async () => {
	await bundle()
	const script = join(root, 'scripts', 'release', 'build.mjs')
	const { status } = spawnSync(process.execPath, [script, PLATFORM], { stdio: 'inherit' })
	if (status !== 0) throw new Error(`the files of ${PLATFORM} can't be built`)
	copyTree()
	node = copyMuslNode(join(temp, 'node'))
	for (const kind of Object.keys(kinds)) {
		copyFileSync(join(filesFolder, release[kind]), join(folders[kind], release[kind]))
	}
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

export const run = async ({ only }) => {
	const suites = only ? [] : runRustSuites(rust)
	await buildFiles()
	suites.push(runJavaScriptFiles({ start, leftOutOf }, only))
	return suites
}
