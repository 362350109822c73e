'use strict'

// What the content of a file means, by a codec: the value that it is read as, and the warnings and
// refusals of content that can't be read.

/** @import { RegistryError, RegistryWarning } from '../../index.js' */

/**
 * Text to a value and back: that of registries, or one that a caller brings along. Nothing else knows
 * what a file's text means. Paths are for messages only.
 *
 * @template T
 * @typedef {{
 *   noun: string,
 *   decode(path: string, text: string): Decoded<T>,
 *   encode(path: string, value: T): string,
 *   empty(): T,
 *   corruptWarning(path: string, reason: string): string,
 * }} Codec
 *
 * - `noun`: what a value is, for messages.
 * - `decode` throws only over a codec that can't be used.
 * - `encode` returns the text or throws a typed error.
 * - `empty` returns the value of no content.
 * - `corruptWarning`: the warning of a read that could not decode the content.
 */

/**
 * What a codec makes of a text: its `value`; or the `reason` why it has none; or, for a newer schema,
 * the `message` of a read's warning and the error with which updates are refused.
 *
 * @template T
 * @typedef {{ value: T, reason?: undefined, newer?: undefined }
 *   | { reason: string, newer?: undefined }
 *   | { reason?: undefined, newer: { message: string, refusal: RegistryError } }} Decoded
 */

/**
 * The content of a file: its text, which is missing if its bytes are not UTF-8; and the codec that has
 * printed the text, if an update of this thread has just done that.
 *
 * @typedef {{ exists: boolean, text?: string | undefined, codec?: Codec<unknown> }} Content
 */

/** What says how a file is read. @template T @typedef {{ path: string, codec: Codec<T> }} Reading */

/** A warning of a read. For content of a newer schema it has the error that refuses updates. @typedef {RegistryWarning & { reason?: string, refusal?: RegistryError }} ReadWarning */

const native = require('../addon/load.js')

/** @param {string} path @returns {ReadWarning} */
const missing = (path) => ({ code: 'NOT_FOUND', path, message: native.missingWarning(path) })

/**
 * @param {Reading<unknown>} reading
 * @param {string} reason
 * @returns {ReadWarning}
 */
const corrupt = ({ path, codec }, reason) => ({
	code: 'CORRUPT',
	path,
	message: codec.corruptWarning(path, reason),
	reason,
})

/**
 * What a file's content means: its `value`, or a `warning` that says why it has none.
 *
 * @template T
 * @param {Reading<T>} reading
 * @param {Content} content
 * @returns {{ value: T, warning?: undefined } | { value?: undefined, warning: ReadWarning }}
 */
const decode = (reading, { exists, text }) => {
	const { path, codec } = reading
	if (!exists) return { warning: missing(path) }
	if (text === undefined) return { warning: corrupt(reading, 'its bytes are not UTF-8') }
	const decoded = codec.decode(path, text)
	if (decoded.newer) {
		const { message, refusal } = decoded.newer
		return { warning: { code: 'UNSUPPORTED_VERSION', path, message, refusal } }
	}
	if (decoded.reason !== undefined) return { warning: corrupt(reading, decoded.reason) }
	return { value: decoded.value }
}

/**
 * Like `decode`, for content that is to be replaced: throws if it is of a newer schema, which must
 * stay. `corrupt` is the reason why the bytes have to be kept, if they have to.
 *
 * @template T
 * @param {Reading<T>} reading
 * @param {Content} content
 */
const look = (reading, content) => {
	const decoded = decode(reading, content)
	if (decoded.warning?.refusal) throw decoded.warning.refusal
	return { ...decoded, corrupt: decoded.warning?.reason }
}

/**
 * The text of a value; undefined if it has none.
 *
 * @template T
 * @param {Reading<T>} reading
 * @param {T} value
 */
const textOf = ({ path, codec }, value) => {
	try {
		return codec.encode(path, value)
	} catch {
		return undefined
	}
}

/** @param {unknown} value */
const isPrimitive = (value) => Object(value) !== value

/**
 * Opens content for an updater: the value that the updater is given, which no other code has, and how
 * to find out whether the updater changed it.
 *
 * @template T
 * @param {Reading<T>} reading
 * @param {Content} content
 */
const open = (reading, content) => {
	const { codec } = reading
	const found = look(reading, content)
	const given = found.warning ? codec.empty() : found.value
	// Now: the updater may change the value in place.
	const source = found.warning ? textOf(reading, given) : content.text
	const isOwnPrint = found.warning !== undefined || content.codec === codec
	/**
	 * What was read is printed anew only where it must be: most files have the layout of their codec.
	 *
	 * @param {string} text
	 */
	const isAsRead = (text) => {
		if (text === source) return true
		if (isOwnPrint || source === undefined) return false
		const again = decode(reading, { exists: true, text: source })
		return !again.warning && text === textOf(reading, again.value)
	}
	/**
	 * Primitives have no identity: another one is one with another text.
	 *
	 * @param {T} next
	 * @param {string} text
	 */
	const isChanged = (next, text) => (!isPrimitive(next) && next !== given) || !isAsRead(text)
	return { given, corrupt: found.corrupt, isChanged }
}

module.exports = { decode, look, open }
