// Stands for argus-client's index.ts.

export {}
