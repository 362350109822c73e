// Makes the npm packages per platform, in npm/, npm-cli/ and etcd/npm/: each holds one file that is built for that
// platform. Makes the main package of the program, too: `argus-registry-cli` depends on all programs and starts the one
// that fits. The programs are in packages of their own, so that a project which only imports `argus-registry` does not
// install them. And writes into etcd/npm/ what has to agree with the main package.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import table from '../lib/addon/platforms.js'
import { kinds } from './release/targets.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { PROGRAM_PACKAGE, platforms } = table

const textOf = (path) => readFileSync(join(root, path), 'utf8')

const json = (value) => `${JSON.stringify(value, null, '\t')}\n`

/** What all packages have in common with the main one. */
const common = () => {
	const manifest = JSON.parse(textOf('package.json'))
	const { version, license, repository, keywords, engines } = manifest
	return { version, license, repository, keywords, engines }
}

const readme = (name, what) => `# \`${name}\`\n\n${what}\n`

const platformPackage = (platform, { fileOf, isAddon, packageOf, what }, { version, ...facts }) => {
	const [os, cpu, abi] = platform.split('-')
	const libc = { gnu: 'glibc', musl: 'musl' }[abi]
	const file = fileOf(platform)
	return {
		name: packageOf(platform),
		version,
		description: `${what.replaceAll('`', '')} for ${platform}`,
		...facts,
		os: [os],
		cpu: [cpu],
		...(libc && { libc: [libc] }),
		...(isAddon && { main: file }),
		files: [file],
	}
}

/** The packages of a kind as dependencies, those of all platforms. */
const dependenciesOn = ({ packageOf }, version) =>
	Object.fromEntries(platforms.map((platform) => [packageOf(platform), version]))

const programPackage = ({ version, ...facts }) => ({
	name: PROGRAM_PACKAGE,
	version,
	description: 'The program argus-registry: lists, watches, locks, checks and prunes registries',
	...facts,
	type: 'commonjs',
	bin: { [PROGRAM_PACKAGE]: `${PROGRAM_PACKAGE}.js` },
	files: [`${PROGRAM_PACKAGE}.js`],
	dependencies: { 'argus-registry': version },
	optionalDependencies: dependenciesOn(kinds.program, version),
})

/** The manifest of the store in etcd, with what this release has in common. */
const etcdPackage = ({ version, repository }) => ({
	...JSON.parse(textOf('etcd/npm/package.json')),
	version,
	repository,
	peerDependencies: { 'argus-registry': version },
	optionalDependencies: dependenciesOn(kinds.etcdAddon, version),
})

const START = `#!/usr/bin/env node
'use strict'

// The launcher is argus-registry's. It finds the program among the packages of the file that was started.
require('argus-registry/bin/argus-registry.js')
`

/** The table of platforms for a package that can't count on resolving argus-registry, which has the original. */
const copiedTable = () =>
	textOf('lib/addon/platforms.js').replace(
		"'use strict'\n",
		`'use strict'\n\n// Copied from lib/addon/platforms.js by scripts/platform-packages.mjs. Changes by hand are overwritten.\n`,
	)

/** The files as they should be: the text of each by its path in this repository. */
export const packageFiles = () => {
	const facts = common()
	const files = new Map([
		['npm-cli/package.json', json(programPackage(facts))],
		[`npm-cli/${PROGRAM_PACKAGE}.js`, START],
		[
			'npm-cli/README.md',
			readme(
				PROGRAM_PACKAGE,
				'The program of `argus-registry`: `npx argus-registry-cli --help`.\nOnce it is installed, `npx argus-registry` starts it, too.',
			),
		],
		['etcd/npm/package.json', json(etcdPackage(facts))],
		['etcd/npm/platforms.js', copiedTable()],
	])
	for (const kind of Object.values(kinds)) {
		for (const platform of platforms) {
			const manifest = platformPackage(platform, kind, facts)
			const folder = `${kind.group}/${platform}`
			files.set(`${folder}/package.json`, json(manifest))
			files.set(`${folder}/README.md`, readme(manifest.name, `${kind.what} for ${platform}.`))
		}
	}
	return files
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	for (const [path, text] of packageFiles()) {
		const file = join(root, path)
		if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
		mkdirSync(dirname(file), { recursive: true })
		writeFileSync(file, text)
		console.log(path)
	}
}
