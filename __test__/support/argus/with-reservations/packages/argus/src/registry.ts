// Stands for the program's registry.ts, which stays: argus-core reads and removes.

import type { RegistryV1 } from '@vforsh/argus-core'
import { DEFAULT_TTL_MS, readActiveRegistry } from '@vforsh/argus-core'

export const loadActiveRegistry = async (ttlMs = DEFAULT_TTL_MS): Promise<RegistryV1> =>
	readActiveRegistry({ ttlMs })

export { removeWatcherAndPersist, removeWatchersAndPersist } from '@vforsh/argus-core'
