'use strict'

// The addon of `argus-registry-etcd`, the package with the store in etcd. It is loaded by the first call on a
// path that names such a registry, and no other call needs it.

/** @typedef {typeof import('./addon.d.ts')} Addon */

/**
 * That addon, which has what calls on any store need of this package's addon, and more. What it lacks, no call on etcd
 * uses.
 *
 * @typedef {Addon & Pick<typeof import('../../etcd/node/addon.d.ts'), 'applyEntry'>} EtcdAddon
 */

const { RegistryError, messageOf, propertyOf } = require('../errors.js')
const { mustPoll } = require('./background.js')
const { containPanics } = require('./panics.js')
const { packageFolders, requireFrom } = require('./places.js')
const { ETCD_PACKAGE } = require('./platforms.js')

/** The version of the border to that addon: here, and in etcd/node/src/lib.rs (`BORDER_VERSION`). */
const ETCD_BORDER_VERSION = 1

/** Where that package puts itself when a program imports it: this package may not be able to resolve it. */
const IMPORTED = Symbol.for(ETCD_PACKAGE)

/** Whether a path names a registry in etcd. @param {unknown} path @returns {path is string} */
const isEtcdPath = (path) => typeof path === 'string' && path.startsWith('etcd://')

/**
 * @param {string} path
 * @param {string} reason What is missing, and after a semicolon what to do.
 * @param {unknown} [cause]
 */
const unsupported = (path, reason, cause) =>
	new RegistryError('UNSUPPORTED', `the store of ${path} can't do this: ${reason}`, { path, cause })

/** Whether an error's message says that the package is missing: Node's, or that of yarn's Plug'n'Play. @param {string} message */
const namesPackage = (message) =>
	message.includes(`'${ETCD_PACKAGE}'`) || message.includes(`access ${ETCD_PACKAGE},`)

/** The package: as the program has imported it, or from where it is installed. @param {string} path */
const packageFor = (path) => {
	/** @type {unknown} */
	let failure
	const imported = propertyOf(globalThis, /** @type {string} */ (/** @type {unknown} */ (IMPORTED)))
	if (imported) return imported
	for (const folder of packageFolders()) {
		try {
			return requireFrom(folder)(ETCD_PACKAGE)
		} catch (error) {
			// That the package is there and can't be loaded says more than that others are not there.
			const isMissing = /MODULE_NOT_FOUND/.test(String(propertyOf(error, 'code')))
			if (!isMissing || !namesPackage(messageOf(error))) failure ??= error
		}
	}
	if (failure === undefined) {
		const install = `install it: \`npm install ${ETCD_PACKAGE}\``
		throw unsupported(path, `a registry in etcd needs the package ${ETCD_PACKAGE}; ${install}`)
	}
	throw unsupported(path, messageOf(failure), failure)
}

/** @type {EtcdAddon | undefined} */
let loaded

/**
 * The addon with the store of a path in etcd.
 *
 * @param {string} path
 * @returns {EtcdAddon}
 */
const etcdAddon = (path) => {
	if (loaded) return loaded
	if (mustPoll) {
		throw unsupported(
			path,
			'a registry in etcd is not for worker threads of Bun before 1.4; update Bun, or make the call on the main thread',
		)
	}
	// A cast, because the border version says that everything is there.
	const addon = /** @type {EtcdAddon} */ (propertyOf(packageFor(path), 'addon'))
	const found = addon?.borderVersion()
	if (found !== ETCD_BORDER_VERSION) {
		throw unsupported(
			path,
			`${ETCD_PACKAGE} ${addon?.version()} is for another version of argus-registry; install the same version of both`,
		)
	}
	containPanics(addon)
	loaded = addon
	return addon
}

module.exports = { etcdAddon, isEtcdPath, unsupported }
