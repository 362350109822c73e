// Takes the lock of a registry, says so, and never lets go: to be killed, or waited for.

import { writeSync } from 'node:fs'

const { script, path } = JSON.parse(process.argv[2])
const { hold } = await import(script)

process.on('disconnect', () => process.exit(1))
// Nothing else keeps some of them alive.
setInterval(() => {}, 60_000)
// Written at once: one that blocks its thread from now on would send no message.
await hold(path, () => writeSync(1, 'held\n'))
