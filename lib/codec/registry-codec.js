'use strict'

// Text to registry and back. The engine parses and prints: every byte that JavaScript wrote
// survives.

const { isProxy } = require('node:util').types
const { RegistryError, invalid } = require('../errors.js')
const { REGISTRY_VERSION, createEmptyRegistry, isObject } = require('./registry-schema.js')

const keys = ['version', 'updatedAt', 'watchers']

/**
 * Whether a value is an object that prints as what it is, of whatever realm. A Map, a Promise or
 * an instance of a class is an object too, and may print as `{}`.
 */
const isPlain = (value) => {
	if (!isObject(value)) return false
	const prototype = Object.getPrototypeOf(value)
	return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Whether a property is printed: its own and enumerable. */
const prints = (value, key) => Object.prototype.propertyIsEnumerable.call(value, key)

/** Why a value is no registry; undefined if it is one. */
const objection = (value) => {
	if (!isObject(value)) return 'it is not an object'
	const missing = keys.find((key) => !prints(value, key))
	if (missing) return `it has no ${missing} of its own`
	if (value.version !== REGISTRY_VERSION) return `its version is not ${REGISTRY_VERSION}`
	if (!Number.isFinite(value.updatedAt)) return 'its updatedAt is not a number'
	if (!isPlain(value.watchers)) return 'its watchers are not a plain object'
	return undefined
}

/** Whether a value may print as something else than it looks like, or as another the next time. */
const isTricky = (value) =>
	isProxy(value) ||
	typeof value?.toJSON === 'function' ||
	keys.some((key) => Object.getOwnPropertyDescriptor(value ?? {}, key)?.get)

const parse = (text) => {
	try {
		return { value: JSON.parse(text) }
	} catch (error) {
		return { reason: error.message }
	}
}

/** What becomes of a registry of a newer schema, which must not be overwritten. */
const newer = (path, version) => {
	const versions = `schema version ${version}, this program knows ${REGISTRY_VERSION}`
	const message = `${path} has ${versions}; nothing was written; upgrade this program`
	return {
		seen: `has schema version ${version}, which this program does not know`,
		refusal: new RegistryError('UNSUPPORTED_VERSION', message, { path }),
	}
}

const decode = (path, text) => {
	const { value, reason } = parse(text)
	if (reason !== undefined) return { reason }
	if (isObject(value) && typeof value.version === 'number' && value.version > REGISTRY_VERSION) {
		return { newer: newer(path, value.version) }
	}
	const problem = objection(value)
	return problem === undefined ? { value } : { reason: problem }
}

/** The text of a registry; throws a typed error for what is none. */
const encode = (path, registry) => {
	const problem = objection(registry)
	if (problem !== undefined) {
		const hint = registry === undefined ? '; does the updater return the next registry?' : ''
		throw invalid(path, `the new value is no registry: ${problem}${hint}`)
	}
	let text
	try {
		text = JSON.stringify(registry, null, 2)
	} catch (error) {
		throw invalid(path, `the new value can't be written as JSON: ${error.message}`, error)
	}
	const printed =
		isTricky(registry) || isTricky(registry.watchers)
			? objection(parse(text ?? '').value)
			: undefined
	if (printed !== undefined) throw invalid(path, `the new value prints as no registry: ${printed}`)
	return text
}

/** Registries as documents: content.js says what a codec is. */
const registryCodec = { noun: 'a registry', decode, encode, empty: () => createEmptyRegistry() }

module.exports = { registryCodec }
