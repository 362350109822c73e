// Stands for argus-watcher's index.ts.

export * from './registry/registry.js'
