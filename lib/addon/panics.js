'use strict'

// The addon's functions, made to throw nothing but a RegistryError. A failure is a value that they return; what
// they throw is a defect: a panic of the Rust code, which Rust has caught at the border.

/** @typedef {typeof import('./addon.d.ts')} Addon */

const { RegistryError, messageOf } = require('../errors.js')

/** Marks an addon whose functions throw nothing else, also if another copy of this package has made them so. */
const contained = Symbol.for('argus-registry.contained')

/**
 * @param {Addon} addon
 * @param {unknown} error
 */
const defect = (addon, error) => {
	const panic = addon.takePanic?.() ?? messageOf(error)
	const message = `a defect of argus-registry: ${panic}; please report it`
	return new RegistryError('INTERNAL', message, { path: '', cause: error })
}

/** @typedef {(this: unknown, ...args: unknown[]) => unknown} Call */

/**
 * @param {Addon} addon
 * @param {Call} call
 */
const containCall = (addon, call) =>
	/** @type {Call} */
	(
		function (...args) {
			try {
				return call.apply(this, args)
			} catch (error) {
				throw defect(addon, error)
			}
		}
	)

/**
 * @param {Addon} addon
 * @param {Function} Class
 */
const containClass = (addon, Class) => {
	// In place, because the addon makes objects of the class too.
	for (const name of Object.getOwnPropertyNames(Class.prototype)) {
		if (name !== 'constructor') Class.prototype[name] = containCall(addon, Class.prototype[name])
	}
	return new Proxy(Class, {
		construct: (target, args, newTarget) => {
			try {
				return Reflect.construct(target, args, newTarget)
			} catch (error) {
				throw defect(addon, error)
			}
		},
	})
}

/** @param {Function} exported */
const isClass = ({ prototype }) =>
	prototype !== undefined && Object.getOwnPropertyNames(prototype).length > 1

/**
 * Makes the addon's functions throw nothing but a RegistryError; returns the addon.
 *
 * @param {Addon} addon
 * @returns {Addon}
 */
const containPanics = (addon) => {
	// In place, because all copies of this package in the thread have this object.
	// A cast, because each function stays what it is, but for what it throws.
	const exported = /** @type {Record<PropertyKey, any>} */ (addon)
	if (exported[contained]) return addon
	exported[contained] = true
	for (const [name, value] of Object.entries(exported)) {
		exported[name] = isClass(value) ? containClass(addon, value) : containCall(addon, value)
	}
	return addon
}

module.exports = { containPanics }
