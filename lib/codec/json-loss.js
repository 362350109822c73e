'use strict'

// What JSON does not hold of a value: `JSON.stringify` leaves it out or prints something else in its
// place, so that an update would resolve that is not in the file.

/** @param {string | number} key */
const step = (key) => {
	if (typeof key === 'number') return `[${key}]`
	return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

/** @typedef {{ keys: (string | number)[], what: string }} Loss */

/** @param {string} what @returns {Loss} */
const lost = (what) => ({ keys: [], what })

/** @param {string | number} key @param {Loss} loss @returns {Loss} */
const within = (key, { keys, what }) => ({ keys: [key, ...keys], what })

/** @param {unknown[]} list @returns {Loss | undefined} */
const lossOfList = (list) => {
	// By index: a hole is an item, too.
	for (let index = 0; index < list.length; index += 1) {
		const item = list[index]
		const loss = item === undefined ? lost('undefined') : lossOf(item)
		if (loss) return within(index, loss)
	}
	return undefined
}

/** @param {Record<string, unknown>} object @returns {Loss | undefined} */
const lossOfProperties = (object) => {
	for (const key of Object.keys(object)) {
		const loss = lossOf(object[key])
		if (loss) return within(key, loss)
	}
	return undefined
}

/** @param {object} value @returns {Loss | undefined} */
const lossOfObject = (value) => {
	// Such a value says itself what it is in JSON. A Date does.
	if ('toJSON' in value && typeof value.toJSON === 'function') return undefined
	if (Array.isArray(value)) return lossOfList(value)
	const prototype = Object.getPrototypeOf(value)
	const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null
	if (isPlain) return lossOfProperties(/** @type {Record<string, unknown>} */ (value))
	const name = prototype.constructor?.name
	return lost(
		typeof name === 'string' && name !== '' ? `an object of the class ${name}` : 'no plain object',
	)
}

/**
 * The first thing in a value that JSON does not hold. An undefined property is left out, as everywhere.
 *
 * @param {unknown} value
 * @returns {Loss | undefined}
 */
const lossOf = (value) => {
	switch (typeof value) {
		case 'object':
			return value === null ? undefined : lossOfObject(value)
		case 'number':
			return Number.isFinite(value) ? undefined : lost(String(value))
		case 'function':
		case 'symbol':
			return lost(`a ${typeof value}`)
		default:
			return undefined
	}
}

/**
 * Why JSON does not hold a value, with the path within the value; undefined if it does. To be asked when
 * the value has been printed: it is known to contain no cycle then.
 *
 * @param {unknown} value
 */
const objectionToJson = (value) => {
	const loss = lossOf(value)
	if (!loss) return undefined
	const { keys, what } = loss
	const where = keys.length === 0 ? 'it' : keys.map(step).join('').replace(/^\./, '')
	return `${where} is ${what}, which JSON does not hold; give it a toJSON method, or make it of plain objects, arrays, strings and numbers`
}

module.exports = { objectionToJson }
