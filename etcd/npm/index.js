'use strict'

// The addon with the store in etcd, and its options. argus-registry loads this package by its first call on a path
// that begins with `etcd://`. index.d.ts says what `configure` does.

const { join } = require('node:path')
const { etcdAddonFile, etcdPackageOf, platformsHere } = require('./platforms.js')

/** The addon of this machine: the one that was built here, else the one of the platform's package. */
const loadAddon = () => {
	const failures = []
	for (const platform of platformsHere()) {
		for (const what of [join(__dirname, etcdAddonFile(platform)), etcdPackageOf(platform)]) {
			try {
				return require(what)
			} catch (error) {
				failures.push({ what, error })
			}
		}
	}
	// An addon that is there says more than one that is not.
	const isThere = ({ error }) => error.code !== 'MODULE_NOT_FOUND'
	const best = failures.find(isThere) ?? failures[0]
	const reason = best
		? `${best.what}: ${String(best.error.message).split('\n')[0]}`
		: 'none is made'
	const here = `${process.platform} on ${process.arch}`
	const packages = platformsHere().map(etcdPackageOf).join(' or ') || 'a build of your own'
	throw new Error(
		`argus-registry-etcd has no addon for ${here} that can be loaded (${reason}); install ${packages}`,
		{ cause: best?.error },
	)
}

const addon = loadAddon()

/** The class of argus-registry's errors; a plain one where that package can't be resolved from here. */
const errorClass = () => {
	try {
		return require('argus-registry').RegistryError
	} catch {
		return class RegistryError extends Error {
			constructor(code, message, { path }) {
				super(message)
				Object.assign(this, { name: 'RegistryError', code, path })
			}
		}
	}
}

const fail = (code, message, path) => {
	const RegistryError = errorClass()
	throw new RegistryError(code, message, { path })
}

/** The type of each option. Values are not shown in errors: one may be a password or a key. */
const OPTIONS = {
	tls: 'object',
	user: 'string',
	password: 'string',
	passwordFile: 'string',
	leaseMs: 'number',
	answerWithinMs: 'number',
	readWithinMs: 'number',
}

const TLS_OPTIONS = { ca: 'string', certificate: 'string', key: 'string', serverName: 'string' }

/** Whether a value has a type that the tables above name. A number is a finite one. */
const is = (type, value) =>
	type === 'number' ? Number.isFinite(value) : typeof value === type && value !== null

/** Checks an object's members, and returns it without those that are undefined. */
const checked = (path, what, given, types, required = []) => {
	if (typeof given !== 'object' || given === null) {
		fail('INVALID_VALUE', `${what} is no object; pass one`, path)
	}
	const known = Object.keys(types).join(', ')
	for (const [name, value] of Object.entries(given)) {
		if (!(name in types)) {
			fail(
				'INVALID_VALUE',
				`there is no ${name} in ${what} (there are ${known}); leave it out`,
				path,
			)
		}
		if (value !== undefined && !is(types[name], value)) {
			fail('INVALID_VALUE', `${name} in ${what} is no ${types[name]}; pass one`, path)
		}
	}
	for (const name of required) {
		if (given[name] === undefined) {
			fail('INVALID_VALUE', `${what} has no ${name}; name it`, path)
		}
	}
	return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}

const configure = (path, options) => {
	if (typeof path !== 'string') fail('INVALID_VALUE', 'path is no string; pass one', String(path))
	const given = checked(path, 'options', options, OPTIONS)
	if (given.tls) given.tls = checked(path, 'options.tls', given.tls, TLS_OPTIONS, ['ca'])
	// In one order, by which equal options are found to be equal.
	const sorted = (object) => Object.fromEntries(Object.entries(object).sort())
	const text = JSON.stringify(sorted({ ...given, ...(given.tls && { tls: sorted(given.tls) }) }))
	const failure = addon.configure(path, text)
	if (failure?.failed) fail(failure.code, failure.message, failure.path)
}

module.exports = { addon, configure }

// argus-registry may not be able to resolve this package where the program can.
globalThis[Symbol.for('argus-registry-etcd')] = module.exports
