// Publishes all npm packages, or shows what would be published.

import { execFileSync, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'
import { stage } from './stage.mjs'

const usage = `npm run release:publish -- [--dry-run] [--tag vVERSION]

Lays out every npm package in target/release-packages, from the files in target/release-files, and publishes
them to the registry that npm is configured for, the main package last. A package whose version is there
already is left out, so that a run that was interrupted can be repeated. --tag fails if that git tag is not
of this version, or if the changelog has no date for it. In a workflow npm attests where they were built.`

/** Fails unless a git tag, the manifests and the changelog are of one version. */
const checkTag = (tag) => {
	const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
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

const main = async (args) => {
	if (args.includes('--help')) return console.log(usage)
	const dryRun = args.includes('--dry-run')
	if (args.includes('--tag')) checkTag(args[args.indexOf('--tag') + 1])
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
