// Builds what the faults and the power failures are tried on, and runs them: `faults.mjs faults|power ...`.
// What follows is passed on; tests/faults/main.rs and tests/power/main.rs say what they take.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const [test, ...args] = process.argv.slice(2)

const run = (command, ...commandArgs) => {
	const { status, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit' })
	if (error) console.error(`${command} can't be run: ${error.message}`)
	if (status !== 0) process.exit(status ?? 1)
}

const platform = `${process.platform} ${process.arch}`
if (platform !== 'linux x64') {
	console.log(`skipped: the tracer knows the calls of Linux on x64 only, and this is ${platform}`)
	process.exit(0)
}
const features = ['--quiet', '--locked', '--features', 'cli']
run('cargo', 'build', ...features, '--bin', 'argus-registry', '--example', 'one_operation')
run('cargo', 'test', ...features, '--test', test, '--', ...args)
