'use strict'

// Loads the addon of this machine: the one that was built here, else the one that npm installed as a
// package of its own.

const { dirname, isAbsolute } = require('node:path')
const { name: ownName, version } = require('../../package.json')
const { BORDER_VERSION } = require('./border.js')
const { containPanics } = require('./panics.js')
const { PATH_VARIABLE, places, requireFrom } = require('./places.js')
const { packageOf, platformsHere } = require('./platforms.js')

/** @typedef {typeof import('./addon.d.ts')} Addon */
/** @typedef {import('./places.js').Place} Place */

/** An addon that this code can't use: it is for another version of the border, or another package's. */
class OtherBorderError extends Error {
	/** @param {Partial<Addon>} addon */
	constructor(addon) {
		const found = addon.borderVersion?.()
		const of = found === undefined ? undefined : `${ownName} ${addon.version?.()}`
		super(
			of === undefined
				? `it is no addon of ${ownName}, or one from before ${ownName} had a border version`
				: `it is of ${of}, for border version ${found}; this is ${ownName} ${version}, for ${BORDER_VERSION}`,
		)
		this.of = of
	}
}

/**
 * The addon at a place. Throws if there is none that this code can use.
 *
 * @param {Place} place
 * @returns {Addon}
 */
const loadFrom = ({ what, start }) => {
	const load = requireFrom(isAbsolute(what) ? dirname(what) : start)
	/** @type {Partial<Addon>} */
	const addon = Object(load(what))
	// A bundle may meet an addon of another version than the one that it was made with.
	if (addon.borderVersion?.() !== BORDER_VERSION) throw new OtherBorderError(addon)
	// A cast, because the border version says that everything is there.
	return /** @type {Addon} */ (addon)
}

/** A failure to load: where, and why. @typedef {{ place: Place, error: unknown, reason: string }} Failure */

/** @param {unknown} error */
const codeOf = (error) => /** @type {NodeJS.ErrnoException} */ (Object(error)).code

/** @param {Place} place @param {unknown} error @returns {Failure} */
const failureOf = (place, error) => {
	const { message } = /** @type {Error} */ (Object(error))
	return { place, error, reason: String(message ?? error).split('\n')[0] ?? '' }
}

/**
 * What a loader says about an addon for the other C library of Linux. The last two are musl's words, about a library or a
 * symbol that glibc has.
 */
const OTHER_LIBC = /ld-linux|ld-musl|libc\.musl|libc\.so|GLIBC|\(needed by |Error relocating /

/** What the loaders of glibc and of musl say about a file on a file system that forbids execution. */
const NOT_EXECUTABLE =
	/failed to map segment|Error loading shared library .*: Operation not permitted/

/** What the loaders of Linux, macOS and Windows say about a file that is no addon of this system. */
const DAMAGED = /file too short|invalid ELF header|Exec format|not a mach-o|not a valid Win32/i

/** @param {Failure} failure */
const isMissing = ({ error }) => /MODULE_NOT_FOUND|ENOENT/.test(String(codeOf(error)))

/** Whether what is there is not this package's. @param {Failure} failure */
const isForeign = ({ error }) => error instanceof OtherBorderError && error.of === undefined

/** The fewer, the more a failure says: an addon that is there, then one for another system, then none. @param {Failure} failure */
const rank = (failure) => {
	if (isMissing(failure)) return 2
	return OTHER_LIBC.test(failure.reason) || isForeign(failure) ? 1 : 0
}

const INSTALL =
	'install it without --omit=optional (npm also leaves it out if a package-lock.json from another system lacks it: then remove that file and node_modules first), put its file beside the bundle or the program, or build it with `npm run build`'

/** What to do about a failure. @param {Failure} failure */
const remedyOf = ({ error, reason }) => {
	const names = platformsHere().map(packageOf).join(' or ')
	if (error instanceof OtherBorderError) {
		const install = `put the addon of ${ownName} ${version} there (${names})`
		return error.of ? `${install}, or make the bundle again with ${error.of}` : install
	}
	if (codeOf(error) === 'ERR_DLOPEN_DISABLED') {
		return 'allow addons to this process: --allow-addons with the permission model, no --no-addons'
	}
	if (NOT_EXECUTABLE.test(reason)) {
		return `its file system may be mounted with noexec: copy the file to another, and name it in ${PATH_VARIABLE}`
	}
	if (OTHER_LIBC.test(reason)) {
		return `the addon is for another C library, or for a newer one, than this system has: install ${names}`
	}
	if (DAMAGED.test(reason)) {
		return `the file is damaged, or for another system: install ${names} again`
	}
	return INSTALL
}

/** The one error that says all: the best reason, what to do, and where an addon was looked for. @param {Failure[]} failures */
const loadError = (failures) => {
	const sorted = [...failures].sort((a, b) => rank(a) - rank(b))
	const [best] = sorted
	const here = `${process.platform} on ${process.arch}`
	const isThere = best !== undefined && !isMissing(best)
	const problem = isThere
		? `${ownName} has no addon for ${here} that can be loaded: ${best.place.what}: ${best.reason}`
		: `${ownName} has no addon for ${here}`
	const tried = sorted.map(
		({ place: { what, start }, reason }) => `  ${what}, from ${start}: ${reason}`,
	)
	return new Error(
		[`${problem}; ${isThere ? remedyOf(best) : INSTALL}`, ...new Set(tried)].join('\n'),
		{ cause: best?.error },
	)
}

/** @returns {Addon} */
const loadAddon = () => {
	/** @type {Failure[]} */
	const failures = []
	for (const place of places()) {
		try {
			return loadFrom(place)
		} catch (error) {
			failures.push(failureOf(place, error))
		}
	}
	throw loadError(failures)
}

module.exports = containPanics(loadAddon())
