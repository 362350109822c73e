'use strict'

// What JSON does not hold of a value: `JSON.stringify` leaves it out or prints something else in its
// place, so that an update would resolve that is not in the file.

const { isPlain } = require('./registry-schema.js')

/** @param {string | number} key */
const step = (key) => {
	if (typeof key === 'number') return `[${key}]`
	return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

/**
 * A value, and what it is within; the outermost one is within nothing.
 *
 * @typedef {{ value: unknown, key: string | number, outer: Nested | undefined }} Nested
 */

/**
 * What JSON does not hold of a value itself; undefined if it holds the value, or the value is made of others.
 * Properties that are undefined are left out, as everywhere, and items are not.
 *
 * @param {Nested} nested
 */
const lossOf = ({ value, key }) => {
	switch (typeof value) {
		case 'undefined':
			return typeof key === 'number' ? 'undefined' : undefined
		case 'number':
			return Number.isFinite(value) ? undefined : String(value)
		case 'function':
		case 'symbol':
			return `a ${typeof value}`
		case 'object': {
			if (value === null || Array.isArray(value) || isPlain(value) || speaksJson(value))
				return undefined
			const name = Object.getPrototypeOf(value).constructor?.name
			return typeof name === 'string' && name !== ''
				? `an object of the class ${name}`
				: 'no plain object'
		}
		default:
			return undefined
	}
}

/** Whether an object says itself what it is in JSON, as a Date does. @param {object} value */
const speaksJson = (value) => 'toJSON' in value && typeof value.toJSON === 'function'

/**
 * The values that a value is made of.
 *
 * @param {Nested} outer
 * @returns {Nested[]}
 */
const partsOf = (outer) => {
	const { value } = outer
	if (typeof value !== 'object' || value === null || speaksJson(value)) return []
	// By index: a hole is an item, too.
	if (Array.isArray(value)) return Array.from(value, (item, key) => ({ value: item, key, outer }))
	return Object.entries(value).map(([key, item]) => ({ value: item, key, outer }))
}

/**
 * The path of a value within the outermost one.
 *
 * @param {Nested} nested
 */
const pathOf = (nested) => {
	const steps = []
	for (let { key, outer } = nested; outer; { key, outer } = outer) steps.push(step(key))
	return steps.reverse().join('').replace(/^\./, '')
}

/**
 * The first thing in a value that JSON does not hold, and what it is. Without recursion: JSON.stringify prints
 * values that are nested deeper than this code could call itself.
 *
 * @param {unknown} value
 */
const firstLoss = (value) => {
	/** @type {Nested[]} */
	const left = [{ value, key: '', outer: undefined }]
	for (let nested = left.pop(); nested; nested = left.pop()) {
		const what = lossOf(nested)
		if (what) return { nested, what }
		for (const part of partsOf(nested).reverse()) left.push(part)
	}
	return undefined
}

/**
 * Whether JSON holds a value itself; what it is made of is added to `left`.
 *
 * @param {unknown} value
 * @param {boolean} isItem
 * @param {object[]} left
 */
const isHeld = (value, isItem, left) => {
	switch (typeof value) {
		case 'number':
			return Number.isFinite(value)
		case 'undefined':
			return !isItem
		case 'object':
			if (value === null) return true
			if (!Array.isArray(value) && !isPlain(value)) return speaksJson(value)
			left.push(value)
			return true
		default:
			return typeof value !== 'function' && typeof value !== 'symbol'
	}
}

/**
 * Whether JSON holds all of a value. Says not where a loss is, and so takes a fraction of the time: each update asks,
 * and nearly always nothing is lost.
 *
 * @param {unknown} value
 */
const isHeldWhole = (value) => {
	/** @type {object[]} */
	const left = []
	if (!isHeld(value, false, left)) return false
	for (let outer = left.pop(); outer; outer = left.pop()) {
		if (speaksJson(outer)) continue
		if (Array.isArray(outer)) {
			// By index: a hole is an item, too.
			for (let index = 0; index < outer.length; index += 1) {
				if (!isHeld(outer[index], true, left)) return false
			}
			continue
		}
		const object = /** @type {Record<string, unknown>} */ (outer)
		for (const key of Object.keys(object)) {
			if (!isHeld(object[key], false, left)) return false
		}
	}
	return true
}

/**
 * Why JSON does not hold a value, with the path within the value; undefined if it does. To be asked when
 * the value has been printed: it is known to contain no cycle then.
 *
 * @param {unknown} value
 */
const objectionToJson = (value) => {
	if (isHeldWhole(value)) return undefined
	const loss = firstLoss(value)
	if (!loss) return undefined
	const step =
		typeof loss.nested.value === 'number'
			? 'leave it out, or give it a value that JSON holds'
			: 'give it a toJSON method, or make it of plain objects, arrays, strings and numbers'
	return `${pathOf(loss.nested) || 'it'} is ${loss.what}, which JSON does not hold; ${step}`
}

module.exports = { objectionToJson }
