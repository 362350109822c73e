// Takes the lock of a registry, reports it, and never releases it. The parent kills this process, or
// measures another one that waits for it.

import { writeSync } from 'node:fs'

const { script, path } = JSON.parse(process.argv[2])
const { hold } = await import(script)

process.on('disconnect', () => process.exit(1))
// Some of the locks keep no handle that would keep the process alive.
setInterval(() => {}, 60_000)
// Written synchronously: a lock that blocks its thread from now on would send no message.
await hold(path, () => writeSync(1, 'held\n'))
