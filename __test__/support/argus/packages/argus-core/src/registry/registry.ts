// Stands for argus-core's registry.ts, which is replaced.

export const REGISTRY_VERSION = 1
