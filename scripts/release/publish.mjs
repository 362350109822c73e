// Publishes all npm packages, or shows what would be published.

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './paths.mjs'
import { stage } from './stage.mjs'
import { checkVersions } from './versions.mjs'

const usage = `npm run release:publish -- [--dry-run] [--tag vVERSION]

Lays out every npm package in target/release-packages, from the files in target/release-files, and publishes
them to the registry that npm is configured for, each package after those that it names. All manifests, and the
files that can run here, have to be of one version. A package whose version is there
already is left out, so that a run that was interrupted can be repeated. --tag fails if that git tag is not
of this version, or if the changelog has no date for it. In a workflow npm attests where they were built.`

/** Fails unless a git tag and the changelog are of a version. */
const checkTag = (tag, version) => {
	if (tag !== `v${version}`) throw new Error(`the tag is ${tag}, and package.json has ${version}`)
	const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
	const heading = new RegExp(
		`^## \\[${version.replaceAll('.', '\\.')}\\] - \\d{4}-\\d\\d-\\d\\d$`,
		'm',
	)
	if (!heading.test(changelog)) {
		throw new Error(`CHANGELOG.md has no heading "## [${version}] - YYYY-MM-DD"`)
	}
}

const isPublished = ({ name, version }) =>
	spawnSync('npm', ['view', `${name}@${version}`, 'version'], {
		encoding: 'utf8',
	}).stdout.trim() === version

/** Throws for any other argument: one that was mistyped must not publish. */
const parse = (args) =>
	parseArgs({
		args,
		options: {
			help: { type: 'boolean', default: false },
			'dry-run': { type: 'boolean', default: false },
			tag: { type: 'string' },
		},
	}).values

const main = async (args) => {
	const { help, tag, 'dry-run': dryRun } = parse(args)
	if (help) return console.log(usage)
	const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
	if (tag !== undefined) checkTag(tag, version)
	checkVersions(version)
	for (const folder of await stage()) {
		const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
		const name = `${manifest.name}@${manifest.version}`
		if (!dryRun && isPublished(manifest)) {
			console.log(`${name} is published already`)
			continue
		}
		console.log(`\n${name}`)
		const options = ['--access', 'public']
		if (dryRun) options.push('--dry-run')
		// Attestation needs the identity that a workflow has.
		if (process.env.GITHUB_ACTIONS) options.push('--provenance')
		execFileSync('npm', ['publish', folder, ...options], { stdio: 'inherit' })
	}
}

try {
	await main(process.argv.slice(2))
} catch (error) {
	console.error(`release:publish: ${error.message}`)
	process.exit(1)
}
