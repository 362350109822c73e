// Takes the lock of a registry, says so, and never lets go: to be killed.

import { createRequire } from 'node:module'

const { updateRegistry } = createRequire(import.meta.url)('../../index.js')

process.on('disconnect', () => process.exit(1))
await updateRegistry(process.argv[2], () => {
	process.send('held')
	return new Promise(() => {})
})
