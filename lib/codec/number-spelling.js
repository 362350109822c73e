'use strict'

// Numbers that no double is: integers beyond 2^53, and decimals of many digits. An updater gets the nearest
// double, and printing that would change what the updater did not touch. So a number that is still what
// the updater got keeps the spelling that it has in the file.

/** A number that is no short integer. Asked first, because most texts have none, and the answer comes sooner. */
const NO_SHORT_INTEGER = /[\s:,[]-?(?:\d{16}|\d+[.eE]|0(?<=-0))/

/** What may be such a number, or a part of a string. No number of up to 15 digits is. */
const LONG = /[\s:,[]-?(?:\d{16}|[\d.]{17}|[\d.]+[eE][+-]?\d{3}|0(?<=-0)(?![\d.]))/

/** @param {string} text */
const mayHaveLong = (text) =>
	(NO_SHORT_INTEGER.test(text) && LONG.test(text)) || /^-?[\d.eE+-]+$/.test(text)

/**
 * The value of a number: its digits without zeros around them, and their exponent.
 *
 * @param {string} token
 */
const exact = (token) => {
	const [number = '', exponent = 0] = token.toLowerCase().split('e')
	const [integer = '', fraction = ''] = number.replace('-', '').split('.')
	const digits = (integer + fraction).replace(/^0+/, '')
	const significant = digits.replace(/0+$/, '')
	const zeros = digits.length - significant.length - fraction.length
	const sign = token.startsWith('-') ? '-' : ''
	return `${sign}${significant}e${significant === '' ? 0 : Number(exponent) + zeros}`
}

/** What JavaScript prints of a number. @param {string} token */
const printedAs = (token) => JSON.stringify(Number(token))

/** Words, such as `null`, are left out. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|[[\]{},:]/g

/** A list or an object that the text is within. @typedef {{ path: string, index: number | undefined, key: string }} Frame */

/**
 * The path of what comes next within a frame.
 *
 * @param {Frame | undefined} frame
 */
const pathIn = (frame) => (frame ? `${frame.path}/${frame.index ?? frame.key}` : '')

/**
 * Calls back with each number of a JSON text: its token, its path, and where it stands.
 *
 * @param {string} text
 * @param {(token: string, path: string, at: number) => void} callback
 */
const eachNumber = (text, callback) => {
	/** @type {Frame[]} */
	const frames = []
	/** @type {Frame | undefined} */
	let frame
	/** The last string, which is a key if a colon follows. */
	let string = ''
	for (const { 0: token, index: at } of text.matchAll(TOKEN)) {
		const [first] = token
		if (first === '{' || first === '[') {
			frame = { path: pathIn(frame), index: first === '[' ? 0 : undefined, key: '' }
			frames.push(frame)
		} else if (first === '}' || first === ']') {
			frames.pop()
			frame = frames.at(-1)
		} else if (first === ',') {
			if (frame?.index !== undefined) frame.index += 1
		} else if (first === ':') {
			// In one spelling, however the text escapes it.
			if (frame) frame.key = string.includes('\\') ? JSON.stringify(JSON.parse(string)) : string
		} else if (first === '"') string = token
		else callback(token, pathIn(frame), at)
	}
}

/**
 * A text that JavaScript has printed, with the spelling that numbers of the same value have at the same
 * place in the text that was read, where printing has changed their value.
 *
 * @param {string} read
 * @param {string} printed
 */
const keepNumbers = (read, printed) => {
	if (printed === read || !mayHaveLong(read)) return printed
	/** @type {Map<string, string>} */
	const spellings = new Map()
	eachNumber(read, (token, path) => {
		if (exact(printedAs(token)) !== exact(token)) spellings.set(path, token)
		// Of two properties of one name the last one counts.
		else spellings.delete(path)
	})
	if (spellings.size === 0) return printed
	let kept = ''
	let end = 0
	eachNumber(printed, (token, path, at) => {
		const spelling = spellings.get(path)
		if (spelling === undefined || printedAs(spelling) !== token) return
		kept += printed.slice(end, at) + spelling
		end = at + token.length
	})
	return kept + printed.slice(end)
}

module.exports = { keepNumbers }
