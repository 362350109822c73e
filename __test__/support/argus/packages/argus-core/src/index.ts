// Stands for argus-core's index.ts.

export { updateJsonFile } from './registry/jsonFile.js'
export * from './registry/paths.js'
export * from './registry/registry.js'
export * from './registry/types.js'
