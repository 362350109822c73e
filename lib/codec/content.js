'use strict'

// A file's content to a value and back, by a codec. There are two kinds of them, of one shape: that
// of registries, and those that callers bring along. Nothing else knows what a file's text means.
//
// `decode(path, text)` returns the `value`, or the `reason` why there is none, or for a `newer`
// schema how it looks (`seen`) and with what error updates are refused (`refusal`). It throws only
// over a codec that can't be used. `encode(path, value)` returns the text or throws a typed error.
// `empty()` returns the value of no content, and `noun` says what a value is. The path is for
// messages only.

const missing = (path) => ({
	code: 'NOT_FOUND',
	path,
	message: `${path} does not exist yet; reading it as empty`,
})

const corrupt = (path, noun, reason) => ({
	code: 'CORRUPT',
	path,
	message: `${path} is not ${noun} (${reason}); reading it as empty`,
	noun,
	reason,
})

const unsupported = (path, { seen, refusal }) => ({
	code: 'UNSUPPORTED_VERSION',
	path,
	message: `${path} ${seen}; reading it as empty`,
	refusal,
})

/** What a file's content means: its `value`, or a `warning` that says why it has none. */
const decode = ({ path, codec }, { exists, text }) => {
	if (!exists) return { warning: missing(path) }
	const { noun } = codec
	if (typeof text !== 'string') return { warning: corrupt(path, noun, 'its bytes are not UTF-8') }
	const { value, reason, newer } = codec.decode(path, text)
	if (newer) return { warning: unsupported(path, newer) }
	return reason === undefined ? { value } : { warning: corrupt(path, noun, reason) }
}

/** The same of content that is to be replaced, unless it is of a newer schema: that must stay. */
const look = (call, content) => {
	const { value, warning } = decode(call, content)
	if (warning?.code === 'UNSUPPORTED_VERSION') throw warning.refusal
	return { value, warning, corrupt: warning?.code === 'CORRUPT' ? warning : undefined }
}

/** The text of a value that nobody is to be blamed for; undefined if it has none. */
const textOf = ({ path, codec }, value) => {
	try {
		return codec.encode(path, value)
	} catch {
		return undefined
	}
}

const isPrimitive = (value) => Object(value) !== value

/**
 * Opens content for an updater: the value that it is given, which nobody else has, and what it
 * takes to see whether the updater changed it.
 */
const open = (call, content) => {
	const { path, codec } = call
	const { value, warning, corrupt } = look(call, content)
	const given = warning ? codec.empty() : value
	// Now: the updater may change the value in place.
	const source = warning ? textOf(call, given) : content.text
	const isOwnPrint = warning !== undefined || content.codec === codec
	// What was read is printed anew only where it must be: most files are as we print them.
	const isAsRead = (text) =>
		text === source || (!isOwnPrint && text === textOf(call, codec.decode(path, source).value))
	// Primitives have no identity: another one is one that prints otherwise.
	const isChanged = (next, text) => (!isPrimitive(next) && next !== given) || !isAsRead(text)
	return { given, corrupt, isChanged }
}

module.exports = { decode, look, open }
