// Checks the files that scripts/release/build.mjs has made: what each needs of a system, its size, and, where it
// can run here, the version that it says it has.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeTable } from '../page.mjs'
import { markdownTable } from '../table.mjs'
import { problemsOf } from './judge.mjs'
import { filesFolder, root } from './paths.mjs'
import { versionOf } from './runners.mjs'
import { chosenTargets, kindNames, releaseTargets } from './targets.mjs'
import { installPythonTools, python } from './tools.mjs'

const usage = `npm run release:verify -- [TARGET...] [--write-page]

Checks the addons and the program in target/release-files of every release target, or of those that are named:
  ${releaseTargets.map(({ platform }) => platform).join(' ')}
The reader of object files, LIEF, is installed from PyPI into target/. --write-page also writes the table into
docs/platforms.md, if nothing is wrong.`

const { version: ownVersion } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const reader = join(dirname(fileURLToPath(import.meta.url)), 'object_files.py')

const readFacts = (paths) =>
	JSON.parse(execFileSync(python, [reader, ...paths], { encoding: 'utf8', maxBuffer: 1 << 26 }))

/** A library without its folder; Windows' sets of functions as one. */
const shortName = (library) =>
	library
		.split('/')
		.at(-1)
		.replace(/^api-ms-win-.*/, 'api-ms-win-*')

/** The floor that a file itself names. */
const needs = ({ glibc, macos }) => {
	if (glibc) return `glibc ${glibc}`
	return macos ? `macOS ${macos}` : '-'
}

/** What a file says when it is asked for its version: `{ cell, problems }`. */
const askVersion = (release, kind) => {
	try {
		const { version, how, reason } = versionOf(release, kind)
		if (reason) return { cell: 'not run', reason, problems: [] }
		const problems = version === ownVersion ? [] : [`its version is ${version}, not ${ownVersion}`]
		return { cell: `${version}, ${how}`, problems }
	} catch (error) {
		return { cell: 'fails', problems: [`it can't be run: ${error.stderr || error.message}`] }
	}
}

const verifyFile = (release, kind, facts) => {
	const path = join(filesFolder, release[kind])
	if (!existsSync(path)) return { problems: ['it is missing'] }
	const stat = statSync(path)
	const asked = askVersion(release, kind)
	const row = [
		release[kind],
		stat.size.toLocaleString('en'),
		release.ceilings[kind].toLocaleString('en'),
		needs(facts[path]),
		[...new Set(facts[path].libraries.map(shortName))].sort().join(' ') || 'none',
		facts[path].signature ?? '-',
		asked.cell,
	]
	const problems = [...problemsOf(release, kind, facts[path], stat), ...asked.problems]
	return { row, problems, reason: asked.reason }
}

const head = ['file', 'bytes', 'at most', 'needs at least', 'links', 'signature', 'its version']

const main = (args) => {
	if (args.includes('--help')) return console.log(usage)
	const chosen = chosenTargets(args.filter((each) => each !== '--write-page'))
	installPythonTools()
	const files = chosen.flatMap((release) => kindNames.map((kind) => [release, kind]))
	const paths = files.map(([release, kind]) => join(filesFolder, release[kind]))
	const facts = readFacts(paths.filter((path) => existsSync(path)))
	const results = files.map(([release, kind]) => ({
		name: release[kind],
		...verifyFile(release, kind, facts),
	}))
	const table = markdownTable(
		head,
		results.flatMap(({ row }) => (row ? [row] : [])),
	)
	console.log(`\n${table}\n`)
	for (const { name, reason } of results) if (reason) console.log(`${name} is not run: ${reason}`)
	const failures = results.flatMap(({ name, problems }) =>
		problems.map((problem) => `${name}: ${problem}`),
	)
	for (const failure of failures) console.error(`FAILED ${failure}`)
	if (failures.length > 0) process.exit(1)
	if (args.includes('--write-page')) writeTable('release:verify', table)
}

try {
	main(process.argv.slice(2))
} catch (error) {
	console.error(`release:verify: ${error.message}`)
	process.exit(1)
}
