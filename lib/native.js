'use strict'

// Finds and loads the addon of this machine: the one that was built here, else the one that npm
// installed as a package of its own.

const { createRequire } = require('node:module')
const { join } = require('node:path')

// Not the bundler's require: a computed name is none of its business.
const load = createRequire(join(__dirname, 'native.js'))

const kinds = { linux: ['-gnu', '-musl'], darwin: [''], win32: ['-msvc'] }

const loadAddon = () => {
	const failures = []
	for (const kind of kinds[process.platform] ?? []) {
		const name = `${process.platform}-${process.arch}${kind}`
		for (const file of [`../argus-registry.${name}.node`, `argus-registry-${name}`]) {
			try {
				return load(file)
			} catch (error) {
				failures.push(error)
			}
		}
	}
	const tried = failures.map((failure) => `  ${failure.message.split('\n')[0]}`).join('\n')
	const problem = `argus-registry has no addon for ${process.platform} on ${process.arch}`
	throw new Error(
		`${problem}; install it without --omit=optional, or build it with \`npm run build\`\n${tried}`,
		{ cause: failures[0] },
	)
}

module.exports = loadAddon()
