// Entries are removed by argus-core alone, so that the CLI and the client can't differ on a file that they share.
export { readAndPruneRegistry, removeWatcherAndPersist } from '@vforsh/argus-core'
