// Updaters for tests.

export const same = (value) => value

export const set = (key, value) => (registry) => ({ ...registry, [key]: value })
