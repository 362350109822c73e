// Which tests can run here.

import { spawnSync } from 'node:child_process'

/**
 * Why a test can't run here, if the condition holds. Prints the reason, too: not every runtime
 * prints the reason of a skipped test.
 */
export const skipIf = (condition, reason) => {
	if (condition) console.log(`skipped here: ${reason}`)
	return condition ? reason : false
}

/** Whether this user may mount a file system in memory, in a namespace of its own. */
export const canMountTmpfs = (options) =>
	spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', '-o', options, 'tmpfs', '/mnt']).status === 0
