// Stands for argus-core's paths.ts.

export const getRegistryPath = (): string => {
	const path = process.env.ARGUS_REGISTRY_PATH
	if (!path) throw new Error('a test must say where the registry is')
	return path
}
