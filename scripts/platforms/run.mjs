// Runs the tests as other platforms than this machine's, and prints a table.

import { writeTable } from '../page.mjs'
import * as arm64 from './linux-arm64.mjs'
import * as musl from './linux-x64-musl.mjs'
import { printReport, report } from './report.mjs'
import * as windows from './windows-x64.mjs'

/** Each platform installs what it needs, and returns the outcome of its suites. */
const platforms = { 'linux-x64-musl': musl, 'linux-arm64': arm64, 'windows-x64': windows }

const usage = `npm run test:platforms -- [NAME ...] [--skip-missing] [--short | --only FILE ...]

Runs the tests as every platform, or as those that are named:
  ${Object.entries(platforms)
		.map(([name, { describe }]) => `${name}: ${describe}`)
		.join('\n  ')}
What is needed is installed, by apt where this user may. A platform that can't be installed is a failure;
with --skip-missing it is only reported. --short runs some minutes' worth of tests, the choice of each
platform. --only runs no Rust tests, and those JavaScript test files whose names contain one of the parts
that follow. A whole run of a platform writes its tables into docs/platforms.md.`

const parse = (args) => {
	const at = args.indexOf('--only')
	const [words, only] = at < 0 ? [args, undefined] : [args.slice(0, at), args.slice(at + 1)]
	const names = words.filter((word) => !word.startsWith('--'))
	const unknown = [
		...names.filter((name) => !(name in platforms)),
		...words.filter(
			(word) => word.startsWith('--') && !['--help', '--skip-missing', '--short'].includes(word),
		),
	]
	if (unknown.length > 0) {
		console.error(`unknown: ${unknown.join(' ')}\n\n${usage}`)
		process.exit(1)
	}
	return {
		names: names.length > 0 ? names : Object.keys(platforms),
		only,
		help: words.includes('--help'),
		skipMissing: words.includes('--skip-missing'),
		short: words.includes('--short'),
	}
}

/**
 * What of a platform's tests is run; undefined for all of them.
 *
 * @type {(platform: string, how: { only?: string[], short: boolean }) => import('./rust-suites.mjs').Choice | undefined}
 */
const choiceOf = (platform, { only, short }) => {
	if (only) return { suites: [], files: only }
	return short ? platforms[platform].short : undefined
}

const main = async () => {
	const { names, only, help, skipMissing, short } = parse(process.argv.slice(2))
	if (help) return console.log(usage)
	const suites = []
	let missing = false
	for (const name of names) {
		try {
			platforms[name].install()
		} catch (error) {
			console.log(`${name}: can't be run here: ${error.message}`)
			missing = true
			continue
		}
		const choice = choiceOf(name, { only, short })
		const ran = await platforms[name].run(choice)
		const own = ran.map((suite) => ({ platform: name, ...suite }))
		suites.push(...own)
		// Part of the tests is no result of the platform.
		if (!choice) writeTable(`test:platforms ${name}`, report(own))
	}
	printReport(suites)
	const ran = suites.every(({ passed, failed }) => passed > 0 && failed === 0)
	process.exit(ran && (skipMissing || !missing) ? 0 : 1)
}

await main()
