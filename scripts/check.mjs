// Format, lints and typings: everything that is checked without running the code.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { outdated } from '../benchmark/publish/publish.mjs'
import table from '../lib/addon/platforms.js'
import { makeBundle } from './bundle.mjs'
import { packageFiles } from './platform-packages.mjs'
import { kinds } from './release/targets.mjs'
import { crateVersions } from './release/versions.mjs'
import { ADDONS, borderProblem, makeTypings, typingsFile } from './typings.mjs'
import { forbiddenWords } from './words.mjs'
import { workflowProblems, workflows } from './workflows.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { platforms } = table
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
	'--features',
	'cli',
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

// The packages per platform: one of each kind for each platform of lib/addon/platforms.js, and no other.
const json = (...path) => JSON.parse(readFileSync(join(root, ...path), 'utf8'))
const { version } = json('package.json')
for (const { group } of Object.values(kinds)) {
	const folders = readdirSync(join(root, group), { withFileTypes: true })
		.filter((entry) => entry.isDirectory())
		.map(({ name }) => name)
	step(
		`${group}/ has one package per platform`,
		folders.sort().join() === [...platforms].sort().join(),
	)
}
const altered = [...packageFiles()].filter(
	([path, text]) =>
		!existsSync(join(root, path)) || readFileSync(join(root, path), 'utf8') !== text,
)
step(
	`their files are what scripts/platform-packages.mjs makes${altered.map(([path]) => `; not ${path}`).join('')}`,
	altered.length === 0,
)

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

for (const [what, each] of crateVersions()) {
	step(`${what} has the version of package.json`, each === version)
}

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
