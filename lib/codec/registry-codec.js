'use strict'

// The text of a registry to its value and back. The engine parses and prints: every byte that
// JavaScript wrote survives.

/** @import { RegistryV1 } from '../../index.js' */
/** @import { Codec } from './content.js' */

const { isProxy } = require('node:util').types
const native = require('../addon/load.js')
const { invalid, messageOf, registryError, shown } = require('../errors.js')
const { objectionToJson } = require('./json-loss.js')
const { differsInNumber, keepNumbers } = require('./number-spelling.js')
const { REGISTRY_VERSION, createEmptyRegistry, isObject, isPlain } = require('./registry-schema.js')

const keys = ['version', 'updatedAt', 'watchers']

/**
 * Whether a property is printed: its own and enumerable.
 *
 * @param {object} value
 * @param {string} key
 */
const prints = (value, key) => Object.prototype.propertyIsEnumerable.call(value, key)

/**
 * Why a value is no registry; undefined if it is one.
 *
 * @param {unknown} value
 */
const objection = (value) => {
	if (!isObject(value)) return 'it is not an object'
	const missing = keys.find((key) => !prints(value, key))
	if (missing) return `it has no ${missing} of its own`
	const { version, updatedAt, watchers } = value
	if (version !== REGISTRY_VERSION) return `its version is not ${REGISTRY_VERSION}`
	if (!Number.isFinite(updatedAt)) return 'its updatedAt is not a number'
	if (!isPlain(watchers)) return 'its watchers are not a plain object'
	return undefined
}

/**
 * Whether an object may print as something else than it looks like, or differently the next time.
 *
 * @param {object} value
 */
const isTricky = (value) =>
	isProxy(value) ||
	('toJSON' in value && typeof value.toJSON === 'function') ||
	keys.some((key) => Object.getOwnPropertyDescriptor(value, key)?.get)

/**
 * @param {string} text
 * @returns {{ value: unknown, reason?: undefined } | { value?: undefined, reason: string }}
 */
const parse = (text) => {
	try {
		return { value: JSON.parse(text) }
	} catch (error) {
		return { reason: messageOf(error) }
	}
}

/** @type {Codec<RegistryV1>['decode']} */
const decode = (path, text) => {
	const { value, reason } = parse(text)
	if (reason !== undefined) return { reason }
	if (isObject(value) && typeof value.version === 'number' && value.version > REGISTRY_VERSION) {
		const found = String(value.version)
		const message = native.unsupportedVersionWarning(path, found)
		const refusal = registryError(native.unsupportedVersion(path, found, REGISTRY_VERSION))
		return { otherVersion: { message, refusal } }
	}
	const problem = objection(value)
	// A value without an objection is a registry, as far as this package checks: entries may be
	// anything.
	return problem === undefined ? { value: /** @type {RegistryV1} */ (value) } : { reason: problem }
}

/** @type {Codec<RegistryV1>['encode']} */
const encode = (path, registry) => {
	const problem = objection(registry)
	if (problem !== undefined) {
		const step =
			registry === undefined ? 'return the next registry from the updater' : 'correct the value'
		throw invalid(path, `the new value ${shown(registry)} is no registry: ${problem}; ${step}`)
	}
	let text
	try {
		text = JSON.stringify(registry, null, 2)
	} catch (error) {
		const reason = `the new value can't be written as JSON: ${messageOf(error)}`
		throw invalid(path, `${reason}; correct the value`, error)
	}
	const printed =
		isTricky(registry) || isTricky(registry.watchers)
			? objection(parse(text ?? '').value)
			: undefined
	if (printed !== undefined) {
		const what = `the new value ${shown(registry)} prints as no registry: ${printed}`
		throw invalid(path, `${what}; correct its toJSON method or its getters`)
	}
	const loss = objectionToJson(registry)
	if (loss !== undefined) throw invalid(path, `of the new value, ${loss}`)
	return text
}

/** The codec of registries: content.js says what a codec is. @type {Codec<RegistryV1>} */
const registryCodec = {
	noun: 'a registry',
	decode,
	encode,
	keepSpelling: keepNumbers,
	surelyDiffers: differsInNumber,
	empty: () => createEmptyRegistry(),
	corruptWarning: (path, reason) => native.corruptWarning(path, reason),
	corruptFailure: (path, reason) => native.corruptFailure(path, reason),
}

module.exports = { registryCodec }
