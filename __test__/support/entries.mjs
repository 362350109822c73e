// What tests of the entry operations have in common.

import { puppet } from './processes.mjs'

export const PATIENT = { timeoutMs: 120_000, durable: false }

/** Another process that holds the lock until the test has it settle. */
export const held = async (t, at) => {
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: PATIENT })
	await holder.expect('holding')
	return holder
}
