'use strict'

// Where the addon of this machine may be. The code that looks for it may be in its package, in an
// application's bundle, or in a program that is one file: with Node or Bun in it, or given to `node -e`.

const { existsSync, readdirSync, realpathSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname, isAbsolute, join, resolve } = require('node:path')
const { fileURLToPath } = require('node:url')
const { name: ownName, version } = require('../../package.json')
const { addonFile, packageOf, platformsHere } = require('./platforms.js')

/** Where an addon may be: a file or a package, and the folder that a search for it begins in. @typedef {{ what: string, start: string }} Place */

/** The variable that napi's own loaders read, for an addon that is somewhere else. */
const PATH_VARIABLE = 'NAPI_RS_NATIVE_LIBRARY_PATH'

/**
 * The result of a call; undefined if it throws. What can't be looked at is no place to load from: the file
 * is gone, the working folder was deleted, or Node's permission model denies it.
 *
 * @template T
 * @param {() => T} call
 * @returns {T | undefined}
 */
const attempt = (call) => {
	try {
		return call()
	} catch {
		return undefined
	}
}

/** The name of the file that this code is in, by the engine's own word. @returns {string | undefined} */
const calledFrom = () => {
	const { prepareStackTrace, stackTraceLimit } = Error
	/** @type {string | null | undefined} */
	let file
	// Each alone: with --frozen-intrinsics no property of Error can be assigned.
	attempt(() => {
		Error.stackTraceLimit = 1
		Error.prepareStackTrace = (_, [frame]) => {
			file = frame?.getFileName()
		}
		// Reading the stack makes it.
		void new Error().stack
	})
	attempt(() => {
		Error.stackTraceLimit = stackTraceLimit
		Error.prepareStackTrace = prepareStackTrace
	})
	return file ?? undefined
}

/** The first absolute name in a stack trace: `at name (FILE:1:2)`, or `name@FILE:1:2`. */
const NAME_IN_STACK = /(?:\(|@|at )((?:file:\/\/|\/|[A-Za-z]:[\\/])[^\n]*?):\d+:\d+\)?$/m

/**
 * The file that this code is in, or the name that stands for one (`[eval]`); undefined if the engine does
 * not say. `__filename` doesn't tell: in a bundle it is undefined, or the file's path on the machine that
 * made the bundle, where another user of this machine may have put a file.
 *
 * @returns {string | undefined}
 */
const ownFile = () => {
	const file = calledFrom() ?? NAME_IN_STACK.exec(String(new Error().stack))?.[1]
	return file?.startsWith('file:') ? attempt(() => fileURLToPath(file)) : file
}

/** Whether the process runs code from its command line: its arguments then are not a program's name. */
const isEvaluated = () =>
	process.execArgv.some((flag) => /^(?:-[ep]|-pe|--eval|--print)/.test(flag))

/** The file of the running program. */
const programFile = () => {
	const program = process.argv[1]
	// Node makes a program's name absolute. Others are data: a folder of data is no place to load from.
	if (program === undefined || !isAbsolute(program) || isEvaluated()) return undefined
	return attempt(() => realpathSync(program))
}

/**
 * Electron's packages are archives, from which the system can't load a library: what it has to load is
 * beside the archive, under its name with `.unpacked`.
 *
 * @param {string} folder
 */
const withUnpacked = (folder) => {
	const unpacked = folder.replace(/\.asar(?=[\\/]|$)/, '.asar.unpacked')
	return unpacked === folder ? [folder] : [unpacked, folder]
}

/**
 * A folder to search from, and whether the addon may be a file in it. Never one in a folder around it: that
 * may be a folder such as /tmp, in which every user can put a file.
 *
 * @typedef {{ folder: string, mayHoldFile: boolean }} Start
 */

/**
 * The folders to search from: of this code, of the running program, and of the runtime. A generator, because
 * the first one is nearly always right, and the others' links need not be resolved then.
 *
 * @returns {Iterable<Start>}
 */
const startFolders = function* () {
	/** @type {Set<string>} */
	const seen = new Set()
	/** @param {string | undefined} file */
	const around = function* (file, mayHoldFile = true) {
		if (!file || !isAbsolute(file)) return
		for (const folder of withUnpacked(dirname(file))) {
			if (seen.has(folder)) continue
			seen.add(folder)
			yield { folder, mayHoldFile }
		}
	}
	const own = ownFile()
	yield* around(own)
	yield* around(programFile())
	// A program that has its runtime in it is this file.
	yield* around(process.execPath)
	yield* around(attempt(() => realpathSync(process.execPath)))
	// From `node -e`, standard input or a worker's text. Node, too, resolves the packages of such code from the
	// working folder. A file there may be anything.
	if (own?.startsWith('[')) {
		yield* around(
			attempt(() => join(process.cwd(), own)),
			false,
		)
	}
}

/** Node's resolution, from a folder. Not the bundler's `require`, which would resolve names when it bundles. @param {string} folder */
const requireFrom = (folder) => createRequire(join(folder, 'here.js'))

/**
 * A folder and those around it.
 *
 * @param {string} folder
 * @returns {string[]}
 */
const upwards = (folder) =>
	dirname(folder) === folder ? [folder] : [folder, ...upwards(dirname(folder))]

/**
 * The places next to a folder, and those where Node's resolution finds the addon. A generator, because
 * Node takes longer to look for a package that is not there than to load all of this package.
 *
 * @param {Start} from
 * @param {string} platform
 * @returns {Iterable<Place>}
 */
const nearby = function* ({ folder: start, mayHoldFile }, platform) {
	const file = addonFile(platform)
	const addonPackage = packageOf(platform)
	if (mayHoldFile) yield { what: join(start, file), start }
	yield { what: addonPackage, start }
	// A package manager may let only this package resolve the packages that it needs.
	const manifest = attempt(() => requireFrom(start).resolve(`${ownName}/package.json`))
	if (manifest === undefined) return
	yield { what: join(dirname(manifest), file), start }
	yield { what: addonPackage, start: dirname(manifest) }
}

/** @param {string} folder */
const namesIn = (folder) => attempt(() => readdirSync(folder)) ?? []

/** The packages in a `node_modules`, also those in scopes. @param {string} modules */
const packagesIn = (modules) =>
	namesIn(modules).flatMap((name) =>
		name.startsWith('@') ? namesIn(join(modules, name)).map((each) => join(name, each)) : [name],
	)

/**
 * Where a package manager stores a package, in each version that it has: this code's own first, since others
 * need not be compatible.
 *
 * @param {string} store
 * @param {string} packageName
 */
const storedIn = (store, packageName) => {
	const own = `${packageName}@${version}`
	const stored = namesIn(store).filter((name) => name.startsWith(`${packageName}@`))
	return stored
		.sort((a, b) => Number(b === own) - Number(a === own))
		.map((name) => join(store, name))
}

/**
 * Further places, for a bundle whose application has this package through a library. Its addon is
 * then in the library's own `node_modules` or in a package manager's store, where Node's resolution
 * does not look for code of the bundle. Without these places such a bundle can't be started.
 *
 * @param {Start} from
 * @param {string} platform
 * @returns {Iterable<Place>}
 */
const installed = ({ folder: start }, platform) => {
	const addonPackage = packageOf(platform)
	const found = []
	for (const folder of upwards(start)) {
		const modules = join(folder, 'node_modules')
		const owners = packagesIn(modules).map((name) => join(modules, name))
		const stored = ['.bun', '.pnpm'].flatMap((store) =>
			storedIn(join(modules, store), addonPackage),
		)
		const nested = owners.map((owner) => join(owner, 'node_modules', ownName))
		for (const owner of [...stored, ...owners, ...nested]) {
			found.push(join(owner, 'node_modules', addonPackage))
		}
	}
	const exists = (/** @type {string} */ path) => attempt(() => existsSync(path)) === true
	return found.filter(exists).map((what) => ({ what, start }))
}

/** The folders from which packages that a program may have installed are resolved. @returns {Iterable<string>} */
const packageFolders = function* () {
	for (const { folder } of startFolders()) yield folder
	const folder = attempt(() => process.cwd())
	if (folder !== undefined) yield folder
}

/** All places, those that take least to look at first. @returns {Iterable<Place>} */
const places = function* () {
	const chosen = process.env[PATH_VARIABLE]
	if (chosen) yield { what: attempt(() => resolve(chosen)) ?? chosen, start: PATH_VARIABLE }
	const platforms = platformsHere()
	const starts = []
	for (const start of startFolders()) {
		starts.push(start)
		for (const platform of platforms) yield* nearby(start, platform)
	}
	for (const start of starts) {
		for (const platform of platforms) yield* installed(start, platform)
	}
}

module.exports = { PATH_VARIABLE, packageFolders, places, requireFrom }
