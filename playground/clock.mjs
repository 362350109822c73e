// One clock for all processes of a run.

const VARIABLE = 'ARGUS_PLAYGROUND_CLOCK'

const steady = () => Number(process.hrtime.bigint()) / 1e6
const wall = () => performance.timeOrigin + performance.now()

/** For the environment of a process that is to share this one's clock. */
export const shareClock = () => ({ [VARIABLE]: String(wall() - clock()) })

const shared = process.env[VARIABLE]

/**
 * Milliseconds, on a clock that can't be set. Bun's begins with the process: there it is the wall
 * clock as it was at that time, less what the playground's wall clock was ahead of its own.
 */
export const clock =
	process.versions.bun && shared !== undefined ? () => wall() - Number(shared) : steady
