// Stands for the program's own reading and removing, which is replaced.

export {}
