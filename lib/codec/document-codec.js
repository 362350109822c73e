'use strict'

// The codec of a document: JSON, or the functions that the caller gives, with the schema version
// checked.

/** @import { DocumentOptions, RegistryError } from '../../index.js' */
/** @import { Codec, OtherVersion } from './content.js' */

/**
 * What a document's user says of its content. The functions are called as methods of this object, which
 * may be changed later: they are those that it has now.
 *
 * @template T
 * @typedef {Pick<DocumentOptions<T>, 'decode' | 'encode' | 'empty' | 'version'>} DocumentFormat
 */

const { inspect } = require('node:util')
const native = require('../addon/load.js')
const { invalid, isThenable, messageOf, propertyOf, registryError, shown } = require('../errors.js')
const { objectionToJson } = require('./json-loss.js')
const { differsInNumber, keepNumbers } = require('./number-spelling.js')
const { isObject } = require('./registry-schema.js')

/**
 * Whether an error says that content is of another schema version. Not by its class: the caller's
 * `decode` may come with a copy of this package of its own.
 *
 * @param {unknown} error
 * @returns {error is RegistryError}
 */
const isOtherVersion = (error) =>
	propertyOf(error, 'name') === 'RegistryError' &&
	propertyOf(error, 'code') === 'UNSUPPORTED_VERSION'

/** UTF-8 has none: the file would hold something else than what was encoded. */
const loneSurrogate = /[\ud800-\udfff]/u

/**
 * The version that a value carries, if it carries one; `null` is none, as to Rust's documents.
 *
 * @param {unknown} value
 */
const versionOf = (value) =>
	isObject(value) && Object.hasOwn(value, 'version') ? (value.version ?? undefined) : undefined

/**
 * What a value of another version than the expected one means.
 *
 * @param {string} path
 * @param {unknown} value
 * @param {number | undefined} expected
 * @returns {OtherVersion | undefined}
 */
const otherVersionOf = (path, value, expected) => {
	const found = versionOf(value)
	if (expected === undefined || found === undefined || found === expected) return undefined
	const text = typeof found === 'string' ? found : (JSON.stringify(found) ?? inspect(found))
	const refusal = registryError(native.unsupportedVersion(path, text, expected))
	// A version that can't be compared counts as newer.
	const isOlder = typeof found === 'number' && found < expected
	return { message: `${path} has schema version ${text}, not ${expected}`, refusal, isOlder }
}

/**
 * Throws for a promise in the place of a value: what an updater made of the promise would replace the document.
 *
 * @param {string} path
 * @param {string} name The function that has returned it.
 * @param {unknown} value
 */
const refusePromise = (path, name, value) => {
	if (!isThenable(value)) return
	// No code waits for this promise, so its rejection must not count as unhandled.
	Promise.resolve(value).catch(() => {})
	throw invalid(path, `${name} returned a promise; return the value instead`)
}

/**
 * @template T
 * @param {DocumentFormat<T>} format
 * @returns {Codec<T>}
 */
const documentCodec = (format) => {
	const { decode, encode, empty, version } = format
	return {
		noun: 'a readable document',
		decode: (path, text) => {
			let value
			try {
				value = decode ? decode.call(format, text) : JSON.parse(text)
			} catch (error) {
				const reason = messageOf(error)
				if (!isOtherVersion(error)) return { reason }
				return { otherVersion: { message: `${path}: ${reason}`, refusal: error } }
			}
			// JSON may hold anything, also a property that is called `then`.
			if (decode) refusePromise(path, 'decode', value)
			const otherVersion = otherVersionOf(path, value, version)
			return otherVersion ? { otherVersion } : { value }
		},
		encode: (path, value) => {
			const found = versionOf(value)
			if (version !== undefined && found !== undefined && found !== version) {
				const has = `the new value has schema version ${shown(found)}, not ${version}`
				throw invalid(path, `${has}; correct its version`)
			}
			let text
			try {
				text = encode ? encode.call(format, value) : JSON.stringify(value, null, 2)
			} catch (error) {
				const reason = `the new value can't be encoded: ${messageOf(error)}`
				throw invalid(path, `${reason}; correct the value`, error)
			}
			if (typeof text !== 'string') {
				const has = `the new value ${shown(value)} was encoded as ${shown(text)}, not as a string`
				const step =
					value === undefined
						? 'return the next value from the updater'
						: encode
							? 'return a string from encode'
							: 'make it of plain objects, arrays, strings and numbers'
				throw invalid(path, `${has}; ${step}`)
			}
			const loss = encode ? undefined : objectionToJson(value)
			if (loss !== undefined) throw invalid(path, `of the new value, ${loss}`)
			if (loneSurrogate.test(text)) {
				const [half] = loneSurrogate.exec(text) ?? []
				const has = `the new value was encoded with half a surrogate pair (${shown(half)})`
				throw invalid(path, `${has}; return well-formed text from encode`)
			}
			return text
		},
		...(!decode && !encode && { keepSpelling: keepNumbers, surelyDiffers: differsInNumber }),
		...(empty && {
			empty: (/** @type {string} */ path) => {
				const value = empty.call(format)
				refusePromise(path, 'empty', value)
				return value
			},
		}),
		corruptWarning: (path, reason) =>
			`${path} is not a readable document (${reason}); reading it as empty`,
		corruptFailure: (path, reason) => native.parseFailure(path, reason),
	}
}

module.exports = { documentCodec }
