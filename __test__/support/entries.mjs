// What tests of the entry operations have in common.

import { UP_TO_TWO_MINUTES } from './options.mjs'
import { puppet } from './processes.mjs'

/** Another process that holds the lock until the test has it settle. */
export const held = async (t, at) => {
	const holder = puppet(t)
	holder.start('hold', { path: at.path, value: 1, options: UP_TO_TWO_MINUTES })
	await holder.expect('holding')
	return holder
}
