// A worker thread that waits for a registry's lock, and reports that it has begun.

const { parentPort, workerData } = require('node:worker_threads')
const { updateRegistry } = require('../../index.js')

updateRegistry(workerData, (registry) => registry, { timeoutMs: 60_000 }).catch(() => {})
parentPort.postMessage('waiting')
