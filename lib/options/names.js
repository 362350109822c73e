'use strict'

// The names of options: one that a call does not have is a mistake, which would be ignored otherwise.

const { inspect } = require('node:util')
const { invalidArgument, wrongArgument } = require('./paths.js')

/**
 * The number of letters to insert, delete or replace that make one word another.
 *
 * @param {string} from
 * @param {string} to
 */
const editDistance = (from, to) => {
	let above = Array.from({ length: to.length + 1 }, (_, index) => index)
	for (const [row, letter] of [...from].entries()) {
		const distances = [row + 1]
		for (const [column, other] of [...to].entries()) {
			const [deleted, inserted, kept] = [above[column + 1], distances[column], above[column]]
			const replaced = Number(kept) + (letter === other ? 0 : 1)
			distances.push(Math.min(Number(deleted) + 1, Number(inserted) + 1, replaced))
		}
		above = distances
	}
	return Number(above.at(-1))
}

/**
 * The option that a caller may have meant by a name, if one is near enough.
 *
 * @param {string} name
 * @param {readonly string[]} known
 */
const nearest = (name, known) => {
	const wanted = name.toLowerCase()
	const limit = Math.max(1, wanted.length / 3)
	const [first] = known
		.map((option) => ({ option, word: option.toLowerCase() }))
		.map(({ option, word }) => {
			const isPart = wanted.length > 2 && (word.includes(wanted) || wanted.includes(word))
			return { option, isPart, distance: editDistance(wanted, word) }
		})
		.filter(({ isPart, distance }) => isPart || distance <= limit)
		.sort((a, b) => a.distance - b.distance)
	return first?.option
}

/**
 * Refuses what is no object, and an object with an option that the call does not have.
 *
 * @param {string} path
 * @param {unknown} options
 * @param {readonly string[]} known
 */
const checkOptions = (path, options, known) => {
	if (options === null || typeof options !== 'object') {
		throw wrongArgument(path, 'options', options, 'an object')
	}
	const unknown = Object.keys(options).find((name) => !known.includes(name))
	if (unknown === undefined) return
	const meant = nearest(unknown, known)
	const all = `the options of this call are ${known.join(', ')}`
	const instead = meant ? `did you mean ${meant}?` : 'leave it out'
	throw invalidArgument(path, `there is no option ${inspect(unknown)} (${all}); ${instead}`)
}

module.exports = { checkOptions }
