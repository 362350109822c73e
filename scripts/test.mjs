// All tests, Rust and JavaScript, with real processes on real files.

import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { testFiles } from './test-files.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const run = (command, args) => {
	console.log(`\n$ ${command} ${args.join(' ')}`)
	const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
	if (error) console.error(`${command} can't be run: ${error.message}`)
	if (status !== 0) process.exit(status ?? 1)
}

run('cargo', ['test', '--locked', '--features', 'cli,tokio'])
run(process.execPath, ['scripts/etcd.mjs'])
const tests = ['__test__', 'tests', 'playground', 'benchmark'].flatMap(testFiles)
// One file after the other: the tests start more processes than the machine has cores as it is. The
// limit is for a test that hangs, not for one that is slow.
run(process.execPath, ['--test', '--test-concurrency=1', '--test-timeout=300000', ...tests])
