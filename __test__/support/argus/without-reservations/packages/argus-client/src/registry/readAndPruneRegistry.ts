// Stands for the client's own reading and removing, which is replaced.

export {}
