'use strict'

// The paths that callers pass: strings, and `URL` objects as the functions of `node:fs` take them.

const { fileURLToPath } = require('node:url')
const { inspect } = require('node:util')
const { RegistryError, messageOf, propertyOf } = require('../errors.js')

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
 * @param {string} reason
 * @param {unknown} [cause]
 */
const invalidArgument = (path, reason, cause) =>
	new RegistryError('INVALID_VALUE', reason, { path: pathText(path), cause })

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
		throw invalidArgument(url, `${name} must be a file: URL: ${messageOf(error)}`, error)
	}
}

/**
 * A path as a string.
 *
 * @param {unknown} given
 * @returns {string}
 */
const checkPath = (given, name = 'path') => {
	const path = isUrl(given) ? pathOfUrl(given, name) : given
	if (typeof path !== 'string' || path === '' || path.includes('\0')) {
		throw invalidArgument(given, `${name} must be a string or a file: URL that names a file`)
	}
	if (/^file:\//i.test(path)) {
		const instead = `new URL(${JSON.stringify(path)})`
		throw invalidArgument(given, `${name} is a URL as a string; pass ${instead}, or a path`)
	}
	return path
}

module.exports = { checkPath, invalidArgument }
