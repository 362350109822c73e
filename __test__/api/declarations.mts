// Checked by tsc, not run: lib/ implements what index.d.ts declares. exports.test.mjs checks that
// the package exports just that.

import type * as declared from 'argus-registry'

type Implemented = typeof import('../../lib/api/document.js') &
	typeof import('../../lib/api/entries.js') &
	typeof import('../../lib/api/heartbeat.js') &
	typeof import('../../lib/api/mirror.js') &
	typeof import('../../lib/api/reads.js') &
	typeof import('../../lib/api/try-lock.js') &
	typeof import('../../lib/api/update.js') &
	typeof import('../../lib/api/values.js') &
	Pick<typeof import('../../lib/api/watch.js'), 'watchRegistry'> &
	Pick<
		typeof import('../../lib/codec/registry-schema.js'),
		'DEFAULT_TTL_MS' | 'REGISTRY_VERSION' | 'createEmptyRegistry'
	> &
	Pick<typeof import('../../lib/errors.js'), 'RegistryError'>

/** Each declared value is implemented, and the implementation is of the declared type. */
export const asDeclared = (implemented: Implemented): Omit<typeof declared, 'default'> =>
	implemented

/** lib/api/ has no function that is not declared. */
export const allDeclared = (name: keyof Implemented): keyof typeof declared => name
