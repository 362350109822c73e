'use strict'

// Finds and loads the addon of this machine: the one that was built here, else the one that npm
// installed as a package of its own. This code may be in its package or in an application's bundle.

const { existsSync, readdirSync, realpathSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname, join } = require('node:path')
const { fileURLToPath } = require('node:url')
const { name: ownName, version } = require('../../package.json')

const kinds = { linux: ['-gnu', '-musl'], darwin: [''], win32: ['-msvc'] }

/**
 * The file that this code is in. `__filename` doesn't tell: in a bundle it is undefined, or the
 * file's place on the machine that made the bundle, where anybody may have put anything here.
 */
const ownFile = () => {
	const { prepareStackTrace, stackTraceLimit } = Error
	try {
		Error.stackTraceLimit = 1
		Error.prepareStackTrace = (_, [frame]) => frame.getFileName()
		const file = new Error().stack
		return file.startsWith('file:') ? fileURLToPath(file) : file
	} catch {
		return undefined
	} finally {
		Error.stackTraceLimit = stackTraceLimit
		Error.prepareStackTrace = prepareStackTrace
	}
}

const realFile = (file) => {
	try {
		return realpathSync(file)
	} catch {
		return undefined
	}
}

/** The folders to search from: this code's, then the running program's. */
const startFolders = () => {
	const program = process.argv[1]
	const files = [ownFile(), program && realFile(program)]
	return [...new Set(files.filter((file) => typeof file === 'string').map((file) => dirname(file)))]
}

/**
 * Where an addon may be: what to require, by whom. One after the other: to search for a package that
 * is not there takes Node longer than to load all of this.
 */
const candidates = function* (start, platform) {
	const file = `argus-registry.${platform}.node`
	const addonPackage = `argus-registry-${platform}`
	// Not the bundler's require: a computed name is none of its business.
	const requireHere = createRequire(join(start, 'here.js'))
	yield [requireHere, join(start, file)]
	yield [requireHere, join(start, '..', file)]
	yield [requireHere, addonPackage]
	let manifest
	try {
		// A package manager may let nobody but this package see the packages that it needs.
		manifest = requireHere.resolve(`${ownName}/package.json`)
	} catch {
		// Not installed where this start can see it.
		return
	}
	const requireThere = createRequire(manifest)
	yield [requireThere, join(dirname(manifest), file)]
	yield [requireThere, addonPackage]
}

/** A folder and those around it. */
const upwards = (folder) =>
	dirname(folder) === folder ? [folder] : [folder, ...upwards(dirname(folder))]

const namesIn = (folder) => {
	try {
		return readdirSync(folder)
	} catch {
		return []
	}
}

/** The packages in a `node_modules`, those in scopes too. */
const packagesIn = (modules) =>
	namesIn(modules).flatMap((name) =>
		name.startsWith('@') ? namesIn(join(modules, name)).map((each) => join(name, each)) : [name],
	)

/**
 * Where else it may be for a bundle: this package has come with a library, and its own packages are
 * with that library, or in a package manager's store, where no name that the bundle could ask for
 * leads to.
 */
const installedCandidates = (start, platform) => {
	const addonPackage = `argus-registry-${platform}`
	const found = []
	for (const folder of upwards(start)) {
		const modules = join(folder, 'node_modules')
		const owners = packagesIn(modules).map((name) => join(modules, name))
		const stored = ['.bun', '.pnpm'].map((store) =>
			join(modules, store, `${addonPackage}@${version}`),
		)
		const nested = owners.map((owner) => join(owner, 'node_modules', ownName))
		for (const owner of [...stored, ...owners, ...nested]) {
			found.push(join(owner, 'node_modules', addonPackage))
		}
	}
	const load = createRequire(join(start, 'here.js'))
	return found.filter((each) => existsSync(each)).map((each) => [load, each])
}

const loadAddon = () => {
	const failures = []
	// The candidates that cost nothing to look at come first.
	const starts = startFolders()
	const searches = [candidates, installedCandidates].flatMap((search) =>
		starts.map((start) => [search, start]),
	)
	for (const [search, start] of searches) {
		for (const kind of kinds[process.platform] ?? []) {
			for (const [load, what] of search(start, `${process.platform}-${process.arch}${kind}`)) {
				try {
					const addon = load(what)
					// A bundle may meet another version than the one that it was made with.
					if (addon.version() === version) return addon
					throw new Error(`it is of version ${addon.version()}, this is ${version}`)
				} catch (error) {
					failures.push({ what, start, error })
				}
			}
		}
	}
	const tried = failures.map(
		({ what, start, error }) => `  ${what}, from ${start}: ${error.message.split('\n')[0]}`,
	)
	const problem = `argus-registry has no addon for ${process.platform} on ${process.arch}`
	const remedy =
		'install it without --omit=optional, put its file beside the bundle, or build it with `npm run build`'
	throw new Error(`${problem}; ${remedy}\n${[...new Set(tried)].join('\n')}`, {
		cause: failures[0]?.error,
	})
}

module.exports = loadAddon()
