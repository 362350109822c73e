// Shows where the time of an update goes, by `perf`: in which system calls, and in which parts of the crate,
// the addon, Node and V8. `bench:instructions` looks into the crate's own part.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeTable } from '../scripts/page.mjs'
import { buildPrograms, killAll, track } from './children.mjs'
import { describeMachine, makePlaces, removePlaces } from './machine.mjs'
import { OptionError, readOptions } from './options.mjs'
import { profileOf } from './profile/profile-of.mjs'
import { SCRIPT_OPTIONS, samplesOf } from './profile/samples.mjs'
import { profileTable } from './profile/table.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const page = join(root, 'docs', 'performance.md')
const driver = fileURLToPath(new URL('./profile/driver.mjs', import.meta.url))

/**
 * Samples per second of processor time. In a trial on a virtual machine this many made an update longer by a
 * twentieth, and five times as many by two fifths. It is no multiple of what a timer of the system does.
 */
const FREQUENCY = 997

const DEFAULT_SECONDS = '5'

/** What is shown side by side. */
const groups = [
	{
		title: 'One process, disk',
		place: 'disk',
		processes: 1,
		names: [
			...['floor', 'crate-update', 'crate-heartbeat'],
			...['argus-sync', 'argus-async', 'argus-heartbeat'],
		],
	},
	{
		title: 'One process, disk, durable',
		place: 'disk',
		processes: 1,
		names: [
			...['floor-durable', 'crate-update-durable'],
			...['argus-sync-durable', 'argus-async-durable'],
		],
	},
	{
		title: 'One process, tmpfs',
		place: 'tmpfs',
		processes: 1,
		names: ['floor', 'crate-heartbeat', 'argus-sync', 'argus-async', 'argus-heartbeat'],
	},
	{
		title: 'Ten processes, disk',
		place: 'disk',
		processes: 10,
		names: ['crate-update', 'crate-heartbeat', 'argus-sync', 'argus-async', 'argus-heartbeat'],
	},
]

const HELP = `Profiles of an update, by perf: where the time of each contestant goes.

Usage: npm run bench:profile -- [options]

  --only LIST   only these contestants, such as floor,argus-sync
  --place LIST  disk, tmpfs (/dev/shm), or both (default: both)
  --seconds S   how long each contestant runs (default ${DEFAULT_SECONDS})
  --dir DIR     a folder on the disk to measure (default: target, in the repository)
  --write-page  write the profiles into docs/performance.md
  --help        show this

Needs Linux and perf; where perf is missing and this runs as root on Debian, it is installed. perf has to be
allowed to sample the kernel: as root, or with kernel.perf_event_paranoid=1 and kernel.kptr_restrict=0. Node has
to be one with symbols, as the official builds are.`

/** The version of perf, installed if need be. */
const installPerf = () => {
	if (process.platform !== 'linux') throw new OptionError('perf is a program of Linux')
	const version = () => {
		const { status, stdout } = spawnSync('perf', ['--version'], { encoding: 'utf8' })
		return status === 0 ? stdout.trim().replace(' version', '') : undefined
	}
	const found = version()
	if (found) return found
	spawnSync('apt-get', ['install', '-y', '-qq', 'linux-perf'], { stdio: ['ignore', 2, 2] })
	const installed = version()
	if (installed) return installed
	throw new OptionError(
		'perf is not installed: install it by your package manager (Debian: linux-perf, Ubuntu: linux-tools-generic)',
	)
}

const recordOptions = (file) => [
	...['record', '-q', '-e', 'cpu-clock', '-F', String(FREQUENCY), '--call-graph', 'fp'],
	// The clock of `Date.now()`, by which a load begins.
	...['-k', 'CLOCK_REALTIME', '-o', file, '--'],
]

/** An unprivileged perf leaves the kernel out without an error, or has no names for its functions. */
const checkPermission = (dir) => {
	const remedy = 'run as root, or after: sysctl kernel.perf_event_paranoid=1 kernel.kptr_restrict=0'
	const paranoid = Number(readFileSync('/proc/sys/kernel/perf_event_paranoid', 'utf8'))
	if (process.getuid() !== 0 && paranoid > 1) {
		throw new OptionError(
			`perf may not sample the kernel (perf_event_paranoid is ${paranoid}): ${remedy}`,
		)
	}
	if (/^0+ /.test(readFileSync('/proc/kallsyms', 'utf8'))) {
		throw new OptionError(`the addresses of the kernel's functions are hidden: ${remedy}`)
	}
	const trial = spawnSync('perf', [...recordOptions(join(dir, 'trial')), 'true'], {
		encoding: 'utf8',
	})
	if (trial.status !== 0) throw new OptionError(`perf can't sample here: ${trial.stderr.trim()}`)
}

const readSamples = (file) => {
	const stdio = ['ignore', 'pipe', 'inherit']
	const script = track(spawn('perf', ['script', '-i', file, ...SCRIPT_OPTIONS], { stdio }))
	return samplesOf(createInterface({ input: script.stdout }))
}

/** The profile of one contestant. */
const profile = async (spec, dir) => {
	const [data, resultFile] = [join(dir, 'perf.data'), join(dir, 'result.json')]
	const parameters = JSON.stringify({ ...spec, resultFile })
	const args = [...recordOptions(data), process.execPath, driver, parameters]
	const [code] = await once(
		track(spawn('perf', args, { stdio: 'inherit' }), { load: spec }),
		'exit',
	)
	if (code !== 0) throw new Error(`${spec.name}: perf ended with code ${code}`)
	const result = JSON.parse(readFileSync(resultFile, 'utf8'))
	const [error] = Object.keys(result.cell.errors)
	if (error) throw new Error(`${spec.name}: ${error}`)
	const { seconds } = spec
	return profileOf(result, readSamples(data), { seconds, frequency: FREQUENCY })
}

const profileAll = async ({ seconds, contestants }, places, dir) => {
	const chosen = contestants.map(({ name }) => name)
	const tables = []
	for (const { title, place, processes, names } of groups) {
		const { folder } = places.find((each) => each.place === place) ?? {}
		const profiles = []
		for (const name of folder ? names.filter((each) => chosen.includes(each)) : []) {
			profiles.push(await profile({ name, processes, place, folder, seconds }, dir))
		}
		if (profiles.length > 0) tables.push(`**${title}**\n\n${profileTable(profiles)}`)
	}
	if (tables.length === 0) throw new OptionError('nothing of that is profiled')
	return tables.join('\n\n')
}

const conditions = (places, perf, { seconds }) => {
	const { cpu, cores, system, disk, node, commit, date } = describeMachine(places)
	const machine = [cpu, `${cores} cores`, system, disk && `disk: ${disk}`, `Node ${node}`, perf]
	const run = `${seconds} s per column, commit ${commit}, ${date.slice(0, 10)}`
	return `${machine.filter(Boolean).join(', ')}; ${run}.`
}

const main = async () => {
	const { values } = parseArgs({
		options: {
			only: { type: 'string' },
			place: { type: 'string' },
			seconds: { type: 'string', default: DEFAULT_SECONDS },
			dir: { type: 'string' },
			'write-page': { type: 'boolean', default: false },
			help: { type: 'boolean', default: false },
		},
	})
	if (values.help) return console.log(HELP)
	const { 'write-page': writesPage, help, ...shared } = values
	if (writesPage && (values.only ?? values.place) !== undefined) {
		throw new OptionError('--write-page takes a run of all contestants and places')
	}
	const options = readOptions(Object.entries(shared).flatMap(([name, text]) => [`--${name}`, text]))
	const perf = installPerf()
	const dir = mkdtempSync(join(tmpdir(), 'argus-profile-'))
	let places = []
	const cleanUp = () => {
		killAll()
		removePlaces(places)
		rmSync(dir, { recursive: true, force: true })
	}
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
		process.once(signal, () => {
			cleanUp()
			process.exit(1)
		})
	}
	try {
		checkPermission(dir)
		buildPrograms()
		const made = makePlaces(options.places, options.dir)
		places = made.places
		for (const { place, why } of made.skipped) console.log(`NOT MEASURED ON ${place}: ${why}`)
		const tables = await profileAll(options, places, dir)
		const text = `${conditions(places, perf, options)}\n\n${tables}`
		console.log(`\n${text}`)
		if (writesPage) writeTable('bench:profile', text, page)
	} finally {
		cleanUp()
	}
}

try {
	await main()
} catch (error) {
	const isUsage = error instanceof OptionError || error.code?.startsWith('ERR_PARSE_ARGS')
	console.error(isUsage ? `${error.message}\nSee --help.` : error)
	process.exitCode = 1
}
