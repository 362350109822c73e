// Where the numbers come from: they mean nothing elsewhere.

import { execFileSync } from 'node:child_process'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** What a program prints; undefined where there is no such program. */
const output = (program, args) => {
	try {
		const stdio = ['ignore', 'pipe', 'ignore']
		return execFileSync(program, args, { cwd: root, encoding: 'utf8', stdio }).trim()
	} catch {
		return undefined
	}
}

const commit = () => {
	const hash = output('git', ['rev-parse', '--short', 'HEAD'])
	const isChanged = output('git', ['status', '--porcelain', '--untracked-files=no'])
	return hash && `${hash}${isChanged ? ' with changes' : ''}`
}

/** df names ext4 where stat only knows that it is some ext. */
const fileSystem = (folder) =>
	output('df', ['--output=fstype', folder])?.split('\n')[1] ??
	output('stat', ['-f', '-c', '%T', folder])

export const describeMachine = (folder) => ({
	cpu: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores`,
	memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
	system: `${type()} ${release()} ${process.arch}`,
	node: process.version,
	rust: output('rustc', ['--version']) ?? 'unknown',
	disk: fileSystem(folder) ?? 'unknown',
	commit: commit() ?? 'unknown',
	date: new Date().toISOString(),
})
