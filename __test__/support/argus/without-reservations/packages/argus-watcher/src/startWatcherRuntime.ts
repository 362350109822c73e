// Stands for argus-watcher's startWatcherRuntime.ts: a server and a source, and between them the lines that
// announce the watcher, as argus has them.

import http from 'node:http'
import type { AddressInfo } from 'node:net'
import type { WatcherRecord } from '@vforsh/argus-core'
import type { StartWatcherOptions, WatcherHandle } from './index.js'
import { announceWatcher, removeWatcher, startRegistryHeartbeat } from './registry/registry.js'

type WatcherInfo = {
	watcherId: string
	watcherHost: string
	watcherPort: number
	watcherPid: number
}

/** Keeps the process alive, as a connection to a browser does, until it is stopped. */
const startSource = () => {
	const timer = setInterval(() => {}, 1_000)
	return {
		info: undefined as WatcherInfo | undefined,
		syncWatcherInfo(info: WatcherInfo): void {
			this.info = info
		},
		stop: async (): Promise<void> => clearInterval(timer),
	}
}

const startHttpServer = async (getStatus: () => unknown) => {
	const server = http.createServer((_, response) => response.end(JSON.stringify(getStatus())))
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
	return {
		port: (server.address() as AddressInfo).port,
		close: () => new Promise<void>((resolve) => server.close(() => resolve())),
	}
}

export const createWatcherHandle = async (
	options: StartWatcherOptions,
	watcherId: string,
): Promise<WatcherHandle> => {
	const host = '127.0.0.1'
	const now = Date.now()
	const record: WatcherRecord = {
		id: watcherId,
		host,
		port: 0,
		pid: process.pid,
		startedAt: now,
		updatedAt: now,
	}
	const fileLogger: { close: () => Promise<void> } | null = null as {
		close: () => Promise<void>
	} | null
	const sourceHandle = startSource()
	const server = await startHttpServer(() => ({
		ok: true,
		id: watcherId,
		source: sourceHandle.info,
	}))

	record.port = server.port
	sourceHandle.syncWatcherInfo?.({
		watcherId,
		watcherHost: host,
		watcherPort: record.port,
		watcherPid: process.pid,
	})
	await announceWatcher(record)

	const heartbeat = startRegistryHeartbeat(() => record, options.heartbeatMs ?? 15_000)
	return {
		watcher: record,
		close: async () => {
			await heartbeat.stop()
			await sourceHandle.stop()
			await fileLogger?.close()
			await server.close()
			await removeWatcher(record.id)
		},
	}
}
