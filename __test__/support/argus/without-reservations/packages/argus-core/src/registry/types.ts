// Stands for argus-core's types.ts: fields and types as argus has them, narrower than ours.

export type WatcherMatch = {
	url?: string
	title?: string
	urlRegex?: string
	titleRegex?: string
	type?: string
	origin?: string
	targetId?: string
	parent?: string
}

export type WatcherChrome = { host: string; port: number }

export type WatcherRecord = {
	id: string
	host: string
	port: number
	pid: number
	cwd?: string
	startedAt: number
	updatedAt: number
	match?: WatcherMatch
	chrome?: WatcherChrome
	includeTimestamps?: boolean
	source?: 'cdp' | 'extension'
}

export type RegistryV1 = {
	version: 1
	updatedAt: number
	watchers: Record<string, WatcherRecord>
}

export type RegistryReadResult = { registry: RegistryV1; warnings: string[] }
