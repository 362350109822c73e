// The machine that the numbers come from. They say nothing about another one.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { installedVersion, sqliteVersion } from './engines.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const MEMORY = '/dev/shm'

/** What a program prints. Undefined where the program can't be run. */
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

/** `df` first: it names ext4, where `stat` only says that it is one of the ext systems. */
const fileSystem = (folder) =>
	output('df', ['--output=fstype', folder])?.split('\n')[1] ??
	output('stat', ['-f', '-c', '%T', folder]) ??
	'unknown'

/**
 * Lets ext4 put each folder that is made in this one into another group of blocks. Without a journal ext4 looks
 * past the inodes of all files that were deleted lately in the folder's group, so an update would take the longer,
 * the more updates were measured before it.
 */
const spreadFolders = (folder) => output('chattr', ['+T', folder])

/** The folders of a run: [{ place, folder, fileSystem }], and the places that are left out, with why. */
export const makePlaces = (wanted, dir) => {
	const disk = dir ?? join(root, 'target')
	if (dir === undefined) mkdirSync(disk, { recursive: true })
	const places = []
	const skipped = []
	for (const place of wanted) {
		const parent = place === 'disk' ? disk : MEMORY
		const exists = statSync(parent, { throwIfNoEntry: false })?.isDirectory()
		const found = exists ? fileSystem(parent) : undefined
		if (place === 'tmpfs' && found !== 'tmpfs') {
			skipped.push({ place, why: `${MEMORY} is ${found ?? 'not there'}` })
		} else {
			const folder = mkdtempSync(join(parent, 'benchmark-'))
			if (found === 'ext4') spreadFolders(folder)
			places.push({ place, folder, fileSystem: found })
		}
	}
	return { places, skipped }
}

export const removePlaces = (places) => {
	for (const { folder } of places) {
		rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
	}
}

const versions = () => ({
	'better-sqlite3': installedVersion('better-sqlite3'),
	sqlite: sqliteVersion(),
	lmdb: installedVersion('lmdb'),
	'proper-lockfile': installedVersion('proper-lockfile', root),
	'write-file-atomic': installedVersion('write-file-atomic', root),
})

export const describeMachine = (places) => ({
	cpu: cpus()[0]?.model.trim() ?? 'unknown',
	cores: availableParallelism(),
	memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
	system: `${type()} ${release()} ${process.arch}`,
	...Object.fromEntries(places.map((each) => [each.place, each.fileSystem])),
	node: process.version,
	rust: output('rustc', ['--version']) ?? 'unknown',
	...versions(),
	commit: commit() ?? 'unknown',
	date: new Date().toISOString(),
})
