// Text to registry and back. The engine parses and prints: every byte that JavaScript wrote
// survives.

const { RegistryError, invalid } = require('./errors.js')

const REGISTRY_VERSION = 1

/** Source: argus. */
const createEmptyRegistry = (now = Date.now()) => ({
	version: REGISTRY_VERSION,
	updatedAt: now,
	watchers: {},
})

// By its tag: a Map, a Promise or an array is an object too, and prints as `{}` or `[]`.
const isObject = (value) => Object.prototype.toString.call(value) === '[object Object]'

/** Why a value is no registry; undefined if it is one. */
const objection = (value) => {
	if (!isObject(value)) return 'it is not an object'
	if (value.version !== REGISTRY_VERSION) return `its version is not ${REGISTRY_VERSION}`
	if (!Number.isFinite(value.updatedAt)) return 'its updatedAt is not a number'
	if (!isObject(value.watchers)) return 'its watchers are not an object'
	return undefined
}

const warning = (code, path, message) => ({ code, path, message })

const corrupt = (path, reason) => ({
	...warning('CORRUPT', path, `${path} is not a registry (${reason}); reading it as empty`),
	reason,
})

const parse = (text) => {
	try {
		return { value: JSON.parse(text) }
	} catch (error) {
		return { reason: error.message }
	}
}

/**
 * Reads a text. What is no registry is an empty one, with a warning that says why.
 *
 * @returns {{ registry: object, warning?: { code: string, path: string, message: string } }}
 */
const decode = (path, { exists, text }) => {
	const empty = (what) => ({ registry: createEmptyRegistry(), warning: what })
	if (!exists) {
		const message = `${path} does not exist yet; reading it as empty`
		return empty(warning('NOT_FOUND', path, message))
	}
	if (typeof text !== 'string') return empty(corrupt(path, 'its bytes are not UTF-8'))
	const { value, reason } = parse(text)
	if (reason !== undefined) return empty(corrupt(path, reason))
	if (isObject(value) && typeof value.version === 'number' && value.version > REGISTRY_VERSION) {
		const message = `${path} has schema version ${value.version}, which this program does not know`
		const what = warning('UNSUPPORTED_VERSION', path, `${message}; reading it as empty`)
		return empty({ ...what, found: value.version })
	}
	const problem = objection(value)
	return problem === undefined ? { registry: value } : empty(corrupt(path, problem))
}

/** Refuses to go on with a registry of a newer schema, which must not be overwritten. */
const refuseNewer = (path, found) => {
	if (found?.code !== 'UNSUPPORTED_VERSION') return
	const versions = `schema version ${found.found}, this program knows ${REGISTRY_VERSION}`
	throw new RegistryError(
		'UNSUPPORTED_VERSION',
		`${path} has ${versions}; nothing was written; upgrade this program`,
		{ path },
	)
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
	// A toJSON method prints something else than what was looked at above.
	const printed =
		typeof registry.toJSON === 'function' ? objection(parse(text ?? '').value) : undefined
	if (printed !== undefined) throw invalid(path, `the new value prints as no registry: ${printed}`)
	return text
}

module.exports = { REGISTRY_VERSION, createEmptyRegistry, decode, encode, refuseNewer }
