// One process that makes many calls at once.

import { beatOf } from '../registry-file.mjs'

const { script, path, durable, calls } = JSON.parse(process.argv[2])
const contestant = await import(script)
const update = (contestant.createConcurrent ?? contestant.create)({ durable, index: 0 })
const beat = beatOf(0)
const call = async () => update(path, beat)

const startedAt = performance.now()
const settled = await Promise.allSettled(Array.from({ length: calls }, call))
const seconds = (performance.now() - startedAt) / 1_000
const acknowledged = settled.filter(({ status }) => status === 'fulfilled').length
const opsPerSecond = acknowledged / seconds
process.send({ acknowledged, failed: calls - acknowledged, seconds, opsPerSecond })
