'use strict'

// The codecs that callers bring along, in the shape of this package's own: content.js says which.

/** @import { DocumentCodec, RegistryError } from '../../index.js' */
/** @import { Codec } from './content.js' */

const { inspect } = require('node:util')
const { invalid, isThenable, messageOf, propertyOf } = require('../errors.js')

/**
 * Whether an error says that content is of a newer schema. Not by its class: a codec may come with a
 * copy of this package of its own.
 *
 * @param {unknown} error
 * @returns {error is RegistryError}
 */
const isNewer = (error) =>
	propertyOf(error, 'name') === 'RegistryError' &&
	propertyOf(error, 'code') === 'UNSUPPORTED_VERSION'

/** UTF-8 has none: the file would hold something else than what was encoded. */
const loneSurrogate = /\p{Surrogate}/u

/**
 * @template T
 * @param {DocumentCodec<T>} codec
 * @returns {Codec<T>}
 */
const adapt = (codec) => ({
	noun: 'a readable document',
	decode: (path, text) => {
		let value
		try {
			value = codec.decode ? codec.decode(text) : JSON.parse(text)
		} catch (error) {
			const reason = messageOf(error)
			if (!isNewer(error)) return { reason }
			const message = `${path} is of a newer schema (${reason}); reading it as empty`
			return { newer: { message, refusal: error } }
		}
		// What an updater made of a promise would replace the document. JSON may hold anything, also a
		// property that is called `then`.
		if (codec.decode !== undefined && isThenable(value)) {
			throw invalid(path, 'codec.decode returned a promise; it must not')
		}
		return { value }
	},
	encode: (path, value) => {
		let text
		try {
			text = codec.encode ? codec.encode(value) : JSON.stringify(value, null, 2)
		} catch (error) {
			throw invalid(path, `the new value can't be encoded: ${messageOf(error)}`, error)
		}
		if (typeof text !== 'string') {
			const hint = value === undefined ? '; does the updater return the next value?' : ''
			throw invalid(path, `the new value was encoded as ${inspect(text)}, not as a string${hint}`)
		}
		if (loneSurrogate.test(text)) {
			throw invalid(path, 'the new value was encoded with half a surrogate pair')
		}
		return text
	},
	empty: () => codec.empty(),
	corruptWarning: (path, reason) =>
		`${path} is not a readable document (${reason}); reading it as empty`,
})

/** @type {WeakMap<DocumentCodec<unknown>, Codec<unknown>>} */
const adapted = new WeakMap()

/**
 * A caller's codec, in the shape of this package's own: one object for each codec, so that codecs can
 * be compared.
 *
 * @template T
 * @param {DocumentCodec<T>} codec
 * @returns {Codec<T>}
 */
const documentCodec = (codec) => {
	// A cast, because one map is for codecs of all types.
	const known = /** @type {Codec<T> | undefined} */ (adapted.get(codec))
	if (known) return known
	const made = adapt(codec)
	adapted.set(codec, made)
	return made
}

module.exports = { documentCodec }
