// Makes npm-cli/: the npm packages of the program. Each platform's holds the program of that platform;
// `argus-registry-cli` depends on all of them and starts the one that fits. They are packages of their own,
// so that a project which only imports `argus-registry` does not install the program.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import table from '../lib/addon/platforms.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { PROGRAM_PACKAGE, platforms, programFile, programPackageOf } = table

const json = (value) => `${JSON.stringify(value, null, '\t')}\n`

/** What all packages have in common with the main one. */
const common = () => {
	const { version, license, keywords, engines } = JSON.parse(
		readFileSync(join(root, 'package.json'), 'utf8'),
	)
	return { version, license, keywords, engines }
}

const readme = (name, what) => `# \`${name}\`\n\n${what}\n`

const platformPackage = (platform, { version, ...facts }) => {
	const [os, cpu, abi] = platform.split('-')
	const libc = { gnu: 'glibc', musl: 'musl' }[abi]
	return {
		name: programPackageOf(platform),
		version,
		description: `The program argus-registry for ${platform}`,
		...facts,
		os: [os],
		cpu: [cpu],
		...(libc && { libc: [libc] }),
		files: [programFile(platform)],
	}
}

const mainPackage = ({ version, ...facts }) => ({
	name: PROGRAM_PACKAGE,
	version,
	description: 'The program argus-registry: lists, watches, locks, checks and prunes registries',
	...facts,
	type: 'commonjs',
	bin: { [PROGRAM_PACKAGE]: `${PROGRAM_PACKAGE}.js` },
	files: [`${PROGRAM_PACKAGE}.js`],
	dependencies: { 'argus-registry': version },
	optionalDependencies: Object.fromEntries(
		platforms.map((platform) => [programPackageOf(platform), version]),
	),
})

const START = `#!/usr/bin/env node
'use strict'

// The launcher is argus-registry's. It finds the program among the packages of the file that was started.
require('argus-registry/bin/argus-registry.js')
`

/** The files of npm-cli/ as they should be: the text of each by its path in this repository. */
export const programPackages = () => {
	const facts = common()
	const files = new Map([
		['npm-cli/package.json', json(mainPackage(facts))],
		[`npm-cli/${PROGRAM_PACKAGE}.js`, START],
		[
			'npm-cli/README.md',
			readme(
				PROGRAM_PACKAGE,
				'The program of `argus-registry`: `npx argus-registry-cli --help`.\nOnce it is installed, `npx argus-registry` starts it, too.',
			),
		],
	])
	for (const platform of platforms) {
		const manifest = platformPackage(platform, facts)
		files.set(`npm-cli/${platform}/package.json`, json(manifest))
		files.set(
			`npm-cli/${platform}/README.md`,
			readme(manifest.name, `The program of \`${PROGRAM_PACKAGE}\` for ${platform}.`),
		)
	}
	return files
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	for (const [path, text] of programPackages()) {
		const file = join(root, path)
		if (existsSync(file) && readFileSync(file, 'utf8') === text) continue
		mkdirSync(dirname(file), { recursive: true })
		writeFileSync(file, text)
		console.log(path)
	}
}
