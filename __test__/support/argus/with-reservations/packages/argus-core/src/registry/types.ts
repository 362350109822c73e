// Stands for argus-core's types.ts of the versions with reservations: what its other modules use.

export type WatcherRecord = {
	id: string
	host: string
	port: number
	pid: number
	ownerId?: string
	cwd?: string
	startedAt: number
	updatedAt: number
	source?: 'cdp' | 'extension'
}

export type WatcherReservation = { id: string; pid: number; ownerId: string; reservedAt: number }

export type RegistryV1 = {
	version: 1
	updatedAt: number
	watchers: Record<string, WatcherRecord>
	reservations?: Record<string, WatcherReservation>
}

export type RegistryReadResult = { registry: RegistryV1; warnings: string[] }
