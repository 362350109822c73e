'use strict'

// Numbers that no double is: integers beyond 2^53, and decimals of many digits. An updater gets the nearest
// double, and printing that would change what the updater did not touch. So a number that is still what
// the updater got keeps the spelling that it has in the file.

/** A number that is no short integer. Asked first, because most texts have none, and the answer comes sooner. */
const NO_SHORT_INTEGER = /[\s:,[]-?(?:\d{16}|\d+[.eE]|0(?<=-0))/

/** What may be such a number, or a part of a string. No number of up to 15 digits is. */
const BEYOND_DOUBLE =
	/[\s:,[]-?(?:\d{16}|[\d.]{17}|[\d.]+[eE][+-]?\d{3}|0(?<=-0)(?:\.0+)?(?![\d.]))/

/** @param {string} text */
const mayBeBeyondDouble = (text) =>
	(NO_SHORT_INTEGER.test(text) && BEYOND_DOUBLE.test(text)) || /^-?[\d.eE+-]+$/.test(text)

/**
 * The value of a number: its digits without zeros around them, and their exponent.
 *
 * @param {string} token
 */
const exact = (token) => {
	const [number = '', exponent = 0] = token.toLowerCase().split('e')
	const [integer = '', fraction = ''] = number.replace('-', '').split('.')
	const digits = (integer + fraction).replace(/^0+/, '')
	// Not by a pattern, which would begin again at each zero.
	let end = digits.length
	while (digits[end - 1] === '0') end -= 1
	const significant = digits.slice(0, end)
	const zeros = digits.length - end - fraction.length
	const sign = token.startsWith('-') ? '-' : ''
	return `${sign}${significant}e${significant === '' ? 0 : Number(exponent) + zeros}`
}

/** What JavaScript prints of a number. @param {string} token */
const printedAs = (token) => JSON.stringify(Number(token))

/** The beginning of a string, or any other token as a whole. */
const TOKEN = /"|-?\d[\d.eE+-]*|[[\]{},:]|true|false|null/g

/**
 * The end of the string that begins at a place. Not by a pattern: the engine has too little memory to match a string of
 * many megabytes as a whole.
 *
 * @param {string} text
 * @param {number} at
 */
const endOfString = (text, at) => {
	let end = at
	let isEscaped = true
	while (isEscaped) {
		end = text.indexOf('"', end + 1)
		if (end === -1) return text.length
		let backslashes = 0
		while (text[end - 1 - backslashes] === '\\') backslashes += 1
		isEscaped = backslashes % 2 === 1
	}
	return end + 1
}

/**
 * The tokens of a JSON text, each with where it stands.
 *
 * @param {string} text
 */
const tokensOf = function* (text) {
	const pattern = new RegExp(TOKEN)
	for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
		const { 0: token, index: at } = match
		if (token !== '"') {
			yield { token, at }
			continue
		}
		pattern.lastIndex = endOfString(text, at)
		yield { token: text.slice(at, pattern.lastIndex), at }
	}
}

/**
 * An item of a list: the path of the list, the item's index, and the item that the list itself is in.
 *
 * @typedef {{ list: string, index: number, outer: Place | undefined }} Place
 */

/**
 * A list or an object that the text is within. `place`: the innermost item of a list around what comes next.
 * `print`: what JavaScript prints of it, so far, without white space; of a list since its last comma. `items`: what
 * JavaScript prints of the items of a list.
 *
 * @typedef {{
 *   path: string,
 *   key: string,
 *   place: Place | undefined,
 *   print: string,
 *   items: string[] | undefined,
 * }} Frame
 */

/**
 * The path of what comes next within a frame.
 *
 * @param {Frame | undefined} frame
 */
const pathIn = (frame) => (frame ? `${frame.path}/${frame.items?.length ?? frame.key}` : '')

/** A string in one spelling, however the text escapes it. @param {string} string */
const unescaped = (string) => (string.includes('\\') ? JSON.stringify(JSON.parse(string)) : string)

/**
 * Calls back with each number of a JSON text: its token, its path, where it stands, and the innermost item of a list
 * around it. Returns what JavaScript prints of the items of each list, without white space, by the path of the list.
 *
 * @param {string} text
 * @param {(token: string, path: string, at: number, place: Place | undefined) => void} callback
 */
const eachNumber = (text, callback) => {
	/** @type {Map<string, string[]>} */
	const lists = new Map()
	/** @type {Frame[]} */
	const frames = []
	/** @type {Frame | undefined} */
	let frame
	/** The last string, which is a key if a colon follows. */
	let string = ''
	for (const { token, at } of tokensOf(text)) {
		const [first = ''] = token
		let print = token
		if (first === '{' || first === '[') {
			const [path, outer] = [pathIn(frame), frame?.place]
			const isList = first === '['
			frame = {
				path,
				key: '',
				place: isList ? { list: path, index: 0, outer } : outer,
				print: isList ? '' : first,
				items: isList ? [] : undefined,
			}
			frames.push(frame)
			continue
		}
		if (first === '}' || first === ']') {
			const closed = frames.pop()
			frame = frames.at(-1)
			if (closed?.items) {
				if (closed.print !== '') closed.items.push(closed.print)
				lists.set(closed.path, closed.items)
				// Not by `join`, which would copy a long item once for each list around it.
				print = `[${closed.items.reduce((all, item) => (all === '' ? item : `${all},${item}`), '')}]`
			} else print = `${closed?.print}}`
		} else if (first === ',' && frame?.items) {
			frame.items.push(frame.print)
			frame.print = ''
			frame.place = { list: frame.path, index: frame.items.length, outer: frames.at(-2)?.place }
			continue
		} else if (first === ':') {
			if (frame) frame.key = string
		} else if (first === '"') {
			string = unescaped(token)
			print = string
		} else if (first === '-' || (first >= '0' && first <= '9')) {
			print = printedAs(token)
			callback(token, pathIn(frame), at, frame?.place)
		}
		if (frame) frame.print += print
	}
	return lists
}

/**
 * Whether each item that a list had is where it was, as far as what is printed tells: items may have been added at
 * the end, or one may have changed.
 *
 * @param {string[]} was What JavaScript prints of the items.
 * @param {string[]} is
 * @param {(index: number) => boolean} keepsNumbers Whether an item has each of its numbers that another number could be
 *   taken for. An item that has lost one may be gone: then those behind it have moved, and print like those before
 *   them.
 */
const staysInOrder = (was, is, keepsNumbers) => {
	if (is.length < was.length) return false
	const changed = [...was.keys()].filter((index) => was[index] !== is[index])
	const [index] = changed
	if (index === undefined) return true
	if (changed.length > 1 || is.length > was.length) return false
	const isOnlyOne = was.indexOf(was[index] ?? '') === was.lastIndexOf(was[index] ?? '')
	return isOnlyOne || keepsNumbers(index)
}

/**
 * A text that JavaScript has printed, with the spelling that numbers of the same value have at the same
 * place in the text that was read, where printing has changed their value.
 *
 * @param {string} read
 * @param {string} printed
 */
const keepNumbers = (read, printed) => {
	if (printed === read || !mayBeBeyondDouble(read)) return printed
	/** @type {Map<string, string>} */
	const spellings = new Map()
	/**
	 * What the numbers in lists are, by what they print as; undefined if several differ.
	 *
	 * @type {Map<string, string | undefined>}
	 */
	const values = new Map()
	/** What the numbers in lists print as, by their paths. @type {Map<string, string>} */
	const prints = new Map()
	const before = eachNumber(read, (token, path, _, place) => {
		const [print, value] = [printedAs(token), exact(token)]
		if (exact(print) !== value) spellings.set(path, token)
		// Of two properties of one name the last one counts.
		else spellings.delete(path)
		if (place === undefined) return
		prints.set(path, print)
		const isOneValue = !values.has(print) || values.get(print) === value
		values.set(print, isOneValue ? value : undefined)
	})
	if (spellings.size === 0) return printed
	/** @type {{ token: string, spelling: string, at: number, place: Place | undefined }[]} */
	const found = []
	/** @type {Map<string, string>} */
	const printsAfter = new Map()
	const after = eachNumber(printed, (token, path, at, place) => {
		if (place) printsAfter.set(path, token)
		const spelling = spellings.get(path)
		if (spelling !== undefined && printedAs(spelling) === token)
			found.push({ token, spelling, at, place })
	})
	const ambiguous = [...prints].filter(([, print]) => values.get(print) === undefined)
	/** @type {Map<string, boolean>} */
	const inOrder = new Map()
	/** @param {string} list */
	const isInOrder = (list) => {
		const known = inOrder.get(list)
		if (known !== undefined) return known
		const keepsNumbers = (/** @type {number} */ index) =>
			ambiguous.every(
				([path, print]) =>
					!`${path}/`.startsWith(`${list}/${index}/`) || printsAfter.get(path) === print,
			)
		const stays = staysInOrder(before.get(list) ?? [], after.get(list) ?? [], keepsNumbers)
		inOrder.set(list, stays)
		return stays
	}
	/**
	 * Whether an item, and those that it is in, are where they were.
	 *
	 * @param {Place | undefined} place
	 * @returns {boolean}
	 */
	const isInPlace = (place) =>
		place === undefined ||
		(isInPlace(place.outer) &&
			place.index < (before.get(place.list)?.length ?? 0) &&
			isInOrder(place.list))
	let kept = ''
	let end = 0
	for (const { token, spelling, at, place } of found) {
		// An updater that removes an item moves those behind it: then it can't be told which of several numbers
		// that print alike this is.
		if (!isInPlace(place) && values.get(token) === undefined) continue
		kept += printed.slice(end, at) + spelling
		end = at + token.length
	}
	return kept + printed.slice(end)
}

/** A number that has one spelling, as JavaScript prints it. */
const PLAIN_INTEGER = /(?:-?[1-9]\d{0,14}|0)(?=[\s,}\]])/y

/** @param {string} text @param {number} at */
const plainIntegerAt = (text, at) => {
	PLAIN_INTEGER.lastIndex = at
	return PLAIN_INTEGER.exec(text)?.[0]
}

/**
 * Whether the first thing in which a printed text differs from the text that was read is a number, so that the value
 * has surely changed: up to there both have the same names and values. Nearly every update changes a date or a count
 * first. False if that can't be told so quickly. (Of two properties of one name the last one counts, so such a text
 * may be told to differ that only repeats a name.)
 *
 * @param {string} read
 * @param {string} printed
 */
const differsInNumber = (read, printed) => {
	const length = Math.min(read.length, printed.length)
	let at = 0
	while (at < length && read.charCodeAt(at) === printed.charCodeAt(at)) at += 1
	// Both texts have what is before `at`: behind it the other one may have no space, so that its number begins earlier.
	const colon = printed.lastIndexOf(': ', at - 2)
	if (colon === -1) return false
	const [before, after] = [plainIntegerAt(read, colon + 2), plainIntegerAt(printed, colon + 2)]
	return before !== undefined && after !== undefined && before !== after
}

module.exports = { differsInNumber, keepNumbers }
