'use strict'

// The async contexts of callers: what their AsyncLocalStorage, `domain` and async hooks go by. Calls run
// in each other's batches, so that the code of one caller would see the context of another. Every
// function of a caller runs in the context of the call that brought it.

/** @typedef {import('node:async_hooks').AsyncResource} Context */

const { AsyncResource } = require('node:async_hooks')

/** The running code's context. @returns {Context} */
const currentContext = () => new AsyncResource('ArgusRegistryCall')

/**
 * Runs code in a context; without one, in that of the running code.
 *
 * @template R
 * @param {Context | undefined} context
 * @param {() => R} body
 * @returns {R}
 */
const runIn = (context, body) => (context ? context.runInAsyncScope(body) : body())

module.exports = { currentContext, runIn }
