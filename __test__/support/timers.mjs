// The package with timers of a test's own: it takes its timers when it is loaded.

import { createRequire } from 'node:module'
import { packageFile } from './script.mjs'

/** A timer that the package starts and stops at once, to see whether it is the runtime's own. */
const TRIAL_MS = 1_000_000

/**
 * Another copy of the package, whose timers are started by `start`, with the original function and what
 * that is called with.
 */
export const loadWithTimers = (start) => {
	const require = createRequire(packageFile)
	// The module as the package has it: an ES module has another object.
	const timers = require('node:timers')
	const { setTimeout } = timers
	// A proxy, because the package looks whether the function is the runtime's own.
	timers.setTimeout = new Proxy(setTimeout, {
		apply: (_, __, [run, ms, ...args]) =>
			ms === TRIAL_MS ? setTimeout(run, ms) : start(setTimeout, run, ms, ...args),
	})
	const loaded = require.cache[packageFile]
	delete require.cache[packageFile]
	try {
		return require(packageFile)
	} finally {
		timers.setTimeout = setTimeout
		if (loaded) require.cache[packageFile] = loaded
		else delete require.cache[packageFile]
	}
}
