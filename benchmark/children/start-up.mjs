// The time and memory that requiring a module takes in this fresh process.

import { createRequire } from 'node:module'

const { module } = JSON.parse(process.argv[2])
const require = createRequire(import.meta.url)

// The first call of each function takes time and memory of its own.
process.memoryUsage()
performance.now()

const before = process.memoryUsage().rss
const startedAt = performance.now()
const loaded = require(module)
// better-sqlite3 loads its binary with the first database.
if (module === 'better-sqlite3') new loaded(':memory:')
const ms = performance.now() - startedAt
process.send({ ms, bytes: process.memoryUsage().rss - before })
