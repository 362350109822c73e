// What requiring the package costs this fresh process.

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

// The first call of each has costs of its own.
process.memoryUsage()
performance.now()

const before = process.memoryUsage().rss
const startedAt = performance.now()
require('../../index.js')
const ms = performance.now() - startedAt
console.log(JSON.stringify({ ms, bytes: process.memoryUsage().rss - before }))
