'use strict'

// The codecs that callers bring along, in the shape of this package's own: content.js says which.

const { inspect } = require('node:util')
const { invalid, messageOf } = require('../errors.js')

/** Not by its class: a codec may come with a copy of this package of its own. */
const isNewer = (error) => error?.name === 'RegistryError' && error.code === 'UNSUPPORTED_VERSION'

/** UTF-8 has none: the file would hold something else than what was encoded. */
const loneSurrogate = /\p{Surrogate}/u

/** JSON itself may hold anything, also something that is called `then`. */
const isAsync = (codec, value) => codec.decode !== undefined && typeof value?.then === 'function'

const adapt = (codec) => ({
	noun: 'a readable document',
	decode: (path, text) => {
		let value
		try {
			value = codec.decode ? codec.decode(text) : JSON.parse(text)
		} catch (error) {
			const reason = messageOf(error)
			if (!isNewer(error)) return { reason }
			return { newer: { seen: `is of a newer schema (${reason})`, refusal: error } }
		}
		// What an updater made of a promise would replace the document.
		if (isAsync(codec, value)) throw invalid(path, 'codec.decode returned a promise; it must not')
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
})

const adapted = new WeakMap()

/** A caller's codec, in the shape of ours: always the same for the same one. */
const documentCodec = (codec) => {
	if (!adapted.has(codec)) adapted.set(codec, adapt(codec))
	return adapted.get(codec)
}

module.exports = { documentCodec }
