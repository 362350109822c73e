// Stands for argus-core's lock.ts, which is replaced.

export async function withRegistryLock<T>(fn: () => Promise<T>): Promise<T> {
	return fn()
}
