'use strict'

// The calls that look: at a file, without a lock, and at its lock.

const { outcomeOf } = require('../addon/background.js')
const { decode } = require('../codec/content.js')
const { holderOf, unwrap } = require('../errors.js')
const native = require('../addon/load.js')
const { prepare, prepareRead } = require('../options.js')

const readResult = (call, outcome) => {
	const { value, warning } = decode(call, unwrap(outcome))
	if (!warning) return { registry: value, warnings: [] }
	const { code, path, message } = warning
	return { registry: call.codec.empty(), warnings: [{ code, path, message }] }
}

const readRegistry = async (path, options) => {
	const call = prepareRead(path, options)
	return readResult(call, await outcomeOf(native.read(path)))
}

const readRegistrySync = (path, options) =>
	readResult(prepareRead(path, options), native.readSync(path))

const inspectLock = async (path, options) => {
	const { path: resolved, staleMs } = prepare(path, options)
	const { holder, ...status } = unwrap(await outcomeOf(native.inspect(resolved, staleMs)))
	return { ...status, ...(holder && { holder: holderOf(holder) }) }
}

module.exports = { inspectLock, readRegistry, readRegistrySync }
