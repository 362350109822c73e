// Stands for argus-client's index.ts.

export { list, requestStatus } from './client/watcherRequest.js'
