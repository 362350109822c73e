// The tests of the store in etcd, against servers that they start. Without an installed etcd, or with a
// Rust that is too old for that store, they are skipped, and with CI=true that is a failure.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { etcdObstacle } from './build.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const needed = [
	['etcd', 'etcd-server'],
	['etcdctl', 'etcd-client'],
]
const isMissing = ([program]) =>
	spawnSync(program, ['--help'], { stdio: 'ignore' }).error !== undefined
const missing = needed.filter(isMissing)

/** How many tests the sources in a folder name, each by its attribute or in a list for every store. */
const countTests = (folder, isCounted = () => true) =>
	readdirSync(join(root, folder), { withFileTypes: true }).reduce((count, entry) => {
		const path = `${folder}/${entry.name}`
		if (entry.isDirectory()) return count + countTests(path, isCounted)
		if (!entry.name.endsWith('.rs') || !isCounted(entry.name)) return count
		const text = readFileSync(join(root, path), 'utf8')
		const lists = [...text.matchAll(/for_each_store! \{([^}]*)\}/g)].flatMap(([, names]) =>
			names.split(',').filter((name) => name.trim() !== ''),
		)
		return count + lists.length + [...text.matchAll(/^\s*#\[test\]\n/gm)].length
	}, 0)

const obstacle = etcdObstacle()
if (missing.length > 0 || obstacle) {
	const isShared = (name) => name !== 'mod.rs'
	const count = countTests('etcd/tests') + countTests('tests/it/store', isShared)
	const packages = missing.map(([, name]) => name).join(' ')
	const names = missing.map(([name]) => name).join(' and ')
	const reason = obstacle ?? `${names} not found (apt-get install ${packages})`
	console.log(`${count} tests of the store in etcd SKIPPED: ${reason}`)
	process.exit(process.env.CI === 'true' ? 1 : 0)
}

const run = (args) => {
	console.log(`\n$ cargo ${args.join(' ')}`)
	const { status, error } = spawnSync('cargo', args, { cwd: root, stdio: 'inherit' })
	if (error) console.error(`cargo can't be run: ${error.message}`)
	if (status !== 0) process.exit(status ?? 1)
}

const crate = ['--locked', '-p', 'argus-registry-etcd', '--features', 'cli']
// The program that runs the one of this crate.
run(['build', '--locked', '--features', 'cli', '--bin', 'argus-registry'])
// The programs that tests start: with the tests, cargo builds them only as tests of their own.
run(['build', ...crate, '--examples'])
// A few at a time: most start servers of their own, whose answers have to come in time.
run(['test', ...crate, '--lib', '--test', 'it', '--', '--test-threads=4', '--skip', 'elections'])
// Alone: its calls have two seconds, of which other tests must not take a part.
run(['test', ...crate, '--test', 'it', '--', 'elections'])
run(['test', ...crate, '--doc'])
