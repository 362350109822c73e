// Threads for tests, and the garbage collector of this thread.

import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { packageFile } from './script.mjs'

/** Runs the garbage collector of this engine. */
export const collector = () => {
	if (globalThis.Bun) return () => globalThis.Bun.gc(true)
	setFlagsFromString('--expose-gc')
	return runInNewContext('gc')
}

/** A worker thread that posts `ready` when its text says so. */
export const worker = async (text, workerData) => {
	const source = `
		const { parentPort, workerData: path } = require('node:worker_threads')
		const registry = require(${JSON.stringify(packageFile)})
		const ready = () => parentPort.postMessage('ready')
		${text}`
	const thread = new Worker(source, { eval: true, workerData })
	thread.on('error', () => {})
	await once(thread, 'message')
	return thread
}
