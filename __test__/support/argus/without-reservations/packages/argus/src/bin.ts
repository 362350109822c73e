#!/usr/bin/env node
// Stands for the program `argus`: `list`, `watcher start` and what a script does that calls the client in a loop.

import { list } from '@vforsh/argus-client'
import { startWatcher, type WatcherHandle } from '@vforsh/argus-watcher'
import { loadRegistry, pruneRegistry } from './registry.js'

const runList = async (): Promise<void> => {
	await loadRegistry()
	const { watchers } = await pruneRegistry()
	console.log(JSON.stringify(Object.keys(watchers)))
}

const runListLoop = async (): Promise<void> => {
	for (let rounds = 1; ; rounds += 1) {
		await list({})
		if (rounds === 1) console.log('looping')
	}
}

const runWatcherStart = async (id: string): Promise<void> => {
	let handle: WatcherHandle
	try {
		handle = await startWatcher({ id, heartbeatMs: 200 })
	} catch (error) {
		console.error(`Failed to start watcher: ${error instanceof Error ? error.message : error}`)
		process.exitCode = 1
		return
	}
	process.on('SIGTERM', () => void handle.close().then(() => process.exit(0)))
	console.log(JSON.stringify(handle.watcher))
}

const program = {
	parseAsync: async ([, , command, id = '']: string[]): Promise<void> => {
		if (command === 'list') return runList()
		if (command === 'list-loop') return runListLoop()
		return runWatcherStart(id)
	},
}

program.parseAsync(process.argv).catch((error) => {
	console.error(error)
	process.exit(1)
})
