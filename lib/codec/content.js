'use strict'

// What the content of a file means, by a codec: the value that it is read as, and the warnings and
// refusals of content that can't be read.

/** @import { OnCorrupt, RegistryError, RegistryWarning } from '../../index.js' */
/** @import { AddonFailure } from '../addon/addon.d.ts' */

/**
 * Text to a value and back: that of registries, or one that a caller gives. Nothing else knows
 * what a file's text means. Paths are for messages only.
 *
 * @template T
 * @typedef {{
 *   noun: string,
 *   decode(path: string, text: string): Decoded<T>,
 *   encode(path: string, value: T): string,
 *   keepSpelling?(read: string, printed: string): string,
 *   surelyDiffers?(read: string, printed: string): boolean,
 *   empty?(path: string): T,
 *   corruptWarning(path: string, reason: string): string,
 *   corruptFailure(path: string, reason: string): AddonFailure,
 * }} Codec
 *
 * - `noun`: what a value is, for messages.
 * - `decode` throws only over a codec that can't be used.
 * - `encode` returns the text or throws a typed error.
 * - `keepSpelling` returns the printed text of an update, in which what the update left alone is spelled as
 *   in the text that was read.
 * - `surelyDiffers` returns whether a glance shows that two texts stand for different values.
 * - `empty` returns the value of no content, if there is one.
 * - `corruptWarning`: the warning of a read that could not decode the content.
 * - `corruptFailure`: the failure of a call that needs the value of such content.
 */

/**
 * What a codec makes of a text: its `value`; or the `reason` why it has none; or, for another
 * schema version, the `message` of a read's warning and the error with which updates are refused.
 * Content of an older version may be replaced as a whole.
 *
 * @template T
 * @typedef {{ value: T, reason?: undefined, otherVersion?: undefined }
 *   | { reason: string, otherVersion?: undefined }
 *   | { reason?: undefined, otherVersion: OtherVersion }} Decoded
 */

/** @typedef {{ message: string, refusal: RegistryError, isOlder?: boolean }} OtherVersion */

/**
 * The content of a file: its text, which is missing if its bytes are not UTF-8; and the codec that
 * has printed the text, if an update of this thread has just done that.
 *
 * @typedef {{ exists: boolean, text?: string | undefined, codec?: Codec<unknown> }} Content
 */

/** What says how a file is read. @template T @typedef {{ path: string, codec: Codec<T> }} Reading */

/**
 * What says how a file is read that is to be replaced. `onCorrupt`: whether content that can't be decoded is
 * replaced, and its bytes are kept in another file.
 *
 * @template T
 * @typedef {Reading<T> & { onCorrupt: OnCorrupt }} Replacing
 */

/**
 * A warning of a read. For content of another schema version it has the error that refuses updates.
 *
 * @typedef {RegistryWarning & {
 *   reason?: string,
 *   refusal?: RegistryError,
 *   isOlder?: boolean,
 * }} ReadWarning
 */

const native = require('../addon/load.js')
const { registryError } = require('../errors.js')

const { maxContentBytes } = native.coreConstants()

/** With it some editors begin a text. */
const BYTE_ORDER_MARK = '\ufeff'

/**
 * What a codec gets of a text that it has printed: the addon reads files without their mark.
 *
 * @param {string} text
 */
const withoutMark = (text) => (text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text)

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
	if (decoded.otherVersion) {
		return { warning: { code: 'UNSUPPORTED_VERSION', path, ...decoded.otherVersion } }
	}
	if (decoded.reason !== undefined) return { warning: corrupt(reading, decoded.reason) }
	return { value: decoded.value }
}

/**
 * The error of a call that needs the value of content that has none.
 *
 * @param {Reading<unknown>} reading
 * @param {ReadWarning} warning
 */
const refusalOf = ({ path, codec }, { refusal, reason }) =>
	refusal ??
	registryError(
		reason === undefined ? native.missingDocument(path) : codec.corruptFailure(path, reason),
	)

/**
 * Looks at content that is to be replaced unread: throws if it has to stay, because it is of a newer schema
 * version, or can't be decoded and the call says that it stays. Returns the reason why the bytes have to be
 * kept, if they have to.
 *
 * @param {Replacing<unknown>} reading
 * @param {Content} content
 */
const look = (reading, content) => {
	const { warning } = decode(reading, content)
	if (warning?.refusal && !warning.isOlder) throw warning.refusal
	const corrupt = warning?.reason
	if (warning && corrupt !== undefined && reading.onCorrupt === 'fail')
		throw refusalOf(reading, warning)
	return { corrupt }
}

/**
 * The value that an update of some content starts from: the content's, or the empty one
 * (`isEmpty`). `corrupt` is the reason why the bytes have to be kept, if they have to.
 *
 * @template T
 * @param {Replacing<T>} reading
 * @param {Content} content
 */
const read = (reading, content) => {
	const { path, codec, onCorrupt } = reading
	const decoded = decode(reading, content)
	if (!decoded.warning) return { value: decoded.value }
	const { refusal, reason } = decoded.warning
	const isRefused = refusal || (reason !== undefined && onCorrupt === 'fail')
	if (isRefused || !codec.empty) throw refusalOf(reading, decoded.warning)
	return { value: codec.empty(path), isEmpty: true, corrupt: reason }
}

/**
 * Throws for a text that is larger than files may be. So one call fails that would write it, and not all calls
 * that are committed together.
 *
 * @param {string} path
 * @param {string} text
 */
const checkSize = (path, text) => {
	// A character takes from one to three bytes.
	const isTooLarge =
		text.length > maxContentBytes ||
		(3 * text.length > maxContentBytes && Buffer.byteLength(text) > maxContentBytes)
	if (isTooLarge) throw registryError(native.newContentTooLarge(path, Buffer.byteLength(text)))
}

/**
 * The text of a value that is to be written.
 *
 * @template T
 * @param {Reading<T>} reading
 * @param {T} value
 */
const encode = ({ path, codec }, value) => {
	const text = codec.encode(path, value)
	checkSize(path, text)
	return text
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
 * Opens content for an updater: the value that the updater is given, which no other code has, how to
 * encode what the updater makes of it, and how to find out whether that is a change.
 *
 * @template T
 * @param {Replacing<T>} reading
 * @param {Content} content
 */
const open = (reading, content) => {
	const { value: given, isEmpty, corrupt } = read(reading, content)
	// Now: the updater may change the value in place.
	const from = isEmpty ? textOf(reading, given) : content.text
	const source = from && withoutMark(from)
	const { path, codec } = reading
	/** @param {string} printed */
	const spelledAsRead = (printed) =>
		source === undefined ? printed : (codec.keepSpelling?.(source, printed) ?? printed)
	/** The text to write for a value. @param {T} next */
	const encodeNext = (next) => {
		const text = spelledAsRead(codec.encode(path, next))
		checkSize(path, text)
		return text
	}
	const isOwnPrint = isEmpty || content.codec === reading.codec
	/**
	 * What was read is printed anew only where it must be: most files have the layout of their codec.
	 *
	 * @param {string} text
	 */
	const isAsRead = (text) => {
		if (withoutMark(text) === source) return true
		if (isOwnPrint || source === undefined || codec.surelyDiffers?.(source, text)) return false
		const again = decode(reading, { exists: true, text: source })
		const printed = again.warning ? undefined : textOf(reading, again.value)
		return printed !== undefined && text === spelledAsRead(printed)
	}
	/**
	 * Primitives have no identity: another one is one with another text.
	 *
	 * @param {T} next
	 * @param {string} text
	 */
	const isChanged = (next, text) => (!isPrimitive(next) && next !== given) || !isAsRead(text)
	return { given, corrupt, encode: encodeNext, isChanged }
}

module.exports = { checkSize, decode, encode, look, open, refusalOf, withoutMark }
