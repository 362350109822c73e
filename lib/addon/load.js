'use strict'

// Finds and loads the addon of this machine: the one that was built here, else the one that npm
// installed as a package of its own. This code may be in its package or in an application's bundle.

const { existsSync, readdirSync, realpathSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname, join } = require('node:path')
const { fileURLToPath } = require('node:url')
const { name: ownName, version } = require('../../package.json')
const { addonFile, packageOf, platformsHere } = require('./platforms.js')

/** @typedef {typeof import('./addon.d.ts')} Addon */

/** Where an addon may be: what to require, and with which `require`. @typedef {[NodeJS.Require, string]} Candidate */

/**
 * The file that this code is in; undefined if the engine does not say. `__filename` doesn't tell:
 * in a bundle it is undefined, or the file's path on the machine that made the bundle, where
 * another user of this machine may have put a file.
 *
 * @returns {string | undefined}
 */
const ownFile = () => {
	const { prepareStackTrace, stackTraceLimit } = Error
	/** @type {string | null | undefined} */
	let file
	try {
		Error.stackTraceLimit = 1
		Error.prepareStackTrace = (_, [frame]) => {
			file = frame?.getFileName()
		}
		// Reading the stack makes it.
		void new Error().stack
		return file?.startsWith('file:') ? fileURLToPath(file) : (file ?? undefined)
	} catch {
		return undefined
	} finally {
		Error.stackTraceLimit = stackTraceLimit
		Error.prepareStackTrace = prepareStackTrace
	}
}

/** @param {string} file */
const realFile = (file) => {
	try {
		return realpathSync(file)
	} catch {
		return undefined
	}
}

/** The folders to search from: that of this code, then that of the running program. */
const startFolders = () => {
	const program = process.argv[1]
	const files = [ownFile(), program && realFile(program)]
	return [...new Set(files.flatMap((file) => (file ? [dirname(file)] : [])))]
}

/**
 * The candidates next to this code and where Node's resolution finds them. A generator, because
 * Node takes longer to look for a package that is not there than to load all of this package.
 *
 * @param {string} start
 * @param {string} platform
 * @returns {Iterable<Candidate>}
 */
const candidates = function* (start, platform) {
	const file = addonFile(platform)
	const addonPackage = packageOf(platform)
	// Not the bundler's require, which would try to resolve the name when it makes the bundle.
	const requireHere = createRequire(join(start, 'here.js'))
	yield [requireHere, join(start, file)]
	yield [requireHere, join(start, '..', file)]
	// Where the build puts it: this code is in a folder of a folder of the package.
	yield [requireHere, join(start, '..', '..', file)]
	yield [requireHere, addonPackage]
	let manifest
	try {
		// A package manager may let only this package resolve the packages that it needs.
		manifest = requireHere.resolve(`${ownName}/package.json`)
	} catch {
		// Not installed where this folder can see it.
		return
	}
	const requireThere = createRequire(manifest)
	yield [requireThere, join(dirname(manifest), file)]
	yield [requireThere, addonPackage]
}

/**
 * A folder and those around it.
 *
 * @param {string} folder
 * @returns {string[]}
 */
const upwards = (folder) =>
	dirname(folder) === folder ? [folder] : [folder, ...upwards(dirname(folder))]

/** @param {string} folder */
const namesIn = (folder) => {
	try {
		return readdirSync(folder)
	} catch {
		return []
	}
}

/** The packages in a `node_modules`, also those in scopes. @param {string} modules */
const packagesIn = (modules) =>
	namesIn(modules).flatMap((name) =>
		name.startsWith('@') ? namesIn(join(modules, name)).map((each) => join(name, each)) : [name],
	)

/**
 * Further candidates, for a bundle whose application has this package through a library. Its addon
 * is then in the library's own `node_modules` or in a package manager's store, where Node's
 * resolution does not look for code of the bundle. Without these candidates such a bundle does not
 * start. They cost nothing where an earlier candidate is found; else, beside 500 packages, 12 ms.
 *
 * @param {string} start
 * @param {string} platform
 * @returns {Iterable<Candidate>}
 */
const installedCandidates = (start, platform) => {
	const addonPackage = packageOf(platform)
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

/** All candidates, those that take least to look at first. @returns {Iterable<[string, Candidate]>} */
const allCandidates = function* () {
	const starts = startFolders()
	for (const search of [candidates, installedCandidates]) {
		for (const start of starts) {
			for (const platform of platformsHere()) {
				for (const candidate of search(start, platform)) yield [start, candidate]
			}
		}
	}
}

/** @returns {Addon} */
const loadAddon = () => {
	const failures = []
	for (const [start, [load, what]] of allCandidates()) {
		try {
			/** @type {Addon} */
			const addon = load(what)
			// A bundle may meet another version than the one that it was made with.
			if (addon.version() === version) return addon
			throw new Error(`it is of version ${addon.version()}, this is ${version}`)
		} catch (error) {
			failures.push({ what, start, error: /** @type {Error} */ (error) })
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
