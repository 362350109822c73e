'use strict'

// The paths that callers pass: strings, and `URL` objects as the functions of `node:fs` take them.

const { fileURLToPath } = require('node:url')
const { inspect } = require('node:util')
const { isEtcdPath, unsupported } = require('../addon/etcd.js')
const { RegistryError, messageOf, propertyOf, shown } = require('../errors.js')

/**
 * Whether a value is a `URL`, of whatever realm. What `url.parse` returns has `auth` and `path`, and is
 * none.
 *
 * @param {unknown} value
 * @returns {value is URL}
 */
const isUrl = (value) =>
	typeof value === 'object' &&
	['href', 'protocol'].every((name) => typeof propertyOf(value, name) === 'string') &&
	['auth', 'path'].every((name) => propertyOf(value, name) === undefined)

/** A path for messages, of any value. @param {unknown} path */
const pathText = (path) => {
	if (typeof path === 'string') return path
	return isUrl(path) ? path.href : inspect(path)
}

/**
 * @param {unknown} path
 * @param {string} reason What is wrong, and after a semicolon what to do.
 * @param {unknown} [cause]
 */
const invalidArgument = (path, reason, cause) =>
	new RegistryError('INVALID_VALUE', reason, { path: pathText(path), cause })

/**
 * The error of an argument that is none of the values that it may have.
 *
 * @param {unknown} path
 * @param {string} name
 * @param {unknown} value
 * @param {string} wanted
 */
const wrongArgument = (path, name, value, wanted) =>
	invalidArgument(path, `${name} is ${shown(value)}; pass ${wanted}`)

/**
 * The path that a URL stands for.
 *
 * @param {URL} url
 * @param {string} name
 */
const pathOfUrl = (url, name) => {
	try {
		// By its text: Node's own function may not take a URL of another realm.
		return fileURLToPath(url.href)
	} catch (error) {
		const reason = `${name} is ${url.href}, which names no file (${messageOf(error)})`
		throw invalidArgument(url, `${reason}; pass a file: URL`, error)
	}
}

/** On Windows `file:` before a drive, too: there no path has it, since a colon names a stream of a file. */
const URL_AS_TEXT = process.platform === 'win32' ? /^file:(?:[\\/]|[a-z]:)/i : /^file:\//i

/**
 * The path of a registry as a string, or of another file, which is not in etcd.
 *
 * @param {unknown} given
 * @param {{ isRegistry: boolean }} what
 * @returns {string}
 */
const checkStorePath = (given, { isRegistry }) =>
	isRegistry && isEtcdPath(given) ? given : checkPath(given)

/**
 * A path as a string.
 *
 * @param {unknown} given
 * @returns {string}
 */
const checkPath = (given, name = 'path') => {
	const path = isUrl(given) ? pathOfUrl(given, name) : given
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw wrongArgument(given, name, given, 'a string or a file: URL that names a file')
	}
	if (URL_AS_TEXT.test(path)) {
		const instead = `new URL(${JSON.stringify(path)})`
		throw invalidArgument(
			given,
			`${name} is the string '${path}' instead of a URL; pass ${instead}`,
		)
	}
	// As a file it would be one in a folder `etcd:`, which no watcher on another machine sees.
	if (isEtcdPath(path)) throw unsupported(path, 'a file is needed here; name one in a folder')
	return path
}

module.exports = { checkPath, checkStorePath, invalidArgument, wrongArgument }
