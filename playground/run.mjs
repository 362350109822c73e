// `npm run playground`: runs the simulation, shows it live, and ends with a table.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { isInstalled } from './etcd/servers.mjs'
import { simulateEtcd } from './etcd/simulation.mjs'
import { etcdTableOf } from './etcd/table.mjs'
import { programOf, RUNTIMES } from './runtimes.mjs'
import { STORES } from './scene.mjs'
import { simulate } from './simulation.mjs'
import { tableOf } from './table.mjs'

const MAX_WATCHERS = 100
const MAX_SECONDS = 3_600
const MAX_SERVERS = 5

const EXIT = { fine: 0, lost: 1, couldNotRun: 2, interrupted: 130 }

const HELP = `Watchers, a pruner, kills and a freeze on one temporary registry.

Usage: npm run playground -- [options]

  --watchers N     how many watchers to start, 1 to ${MAX_WATCHERS} (default 10)
  --seconds S      how long to run at least, up to ${MAX_SECONDS} (default 10)
  --runtime NAME   what the watchers run on: node (the default) for what runs the playground, or
                   bun, which is installed if there is none
  --store NAME     where the registry is: file (the default); folder, with a file for each entry; or
                   etcd, in servers that the run starts from an installed \`etcd\`
  --servers N      how many servers of etcd to start, 1 to ${MAX_SERVERS} (default 1). Of three or more, one
                   that follows and one that leads are killed
  --without-lock   a demonstration: the same updates with no lock around them
  --json FILE      also write the result to a file
  --help           show this

Exit code: ${EXIT.fine} if nothing was lost, ${EXIT.lost} if anything was, ${EXIT.couldNotRun} if it could not run,
${EXIT.interrupted} if it was interrupted.`

const optionTypes = {
	watchers: { type: 'string', default: '10' },
	seconds: { type: 'string', default: '10' },
	runtime: { type: 'string', default: 'node' },
	store: { type: 'string', default: 'file' },
	servers: { type: 'string' },
	'without-lock': { type: 'boolean', default: false },
	json: { type: 'string' },
	help: { type: 'boolean', default: false },
}

const checkNumber = (name, text, isGood, what) => {
	const value = text.trim() === '' ? Number.NaN : Number(text)
	if (!isGood(value)) throw new Error(`--${name} must be ${what}, not '${text}'`)
	return value
}

const checkRuntime = (name) => {
	if (RUNTIMES.includes(name)) return name
	throw new Error(`--runtime must be ${RUNTIMES.join(' or ')}, not '${name}'`)
}

const checkStore = (name, withoutLock) => {
	const names = [...Object.keys(STORES), 'etcd']
	if (!names.includes(name)) throw new Error(`--store must be ${names.join(' or ')}, not '${name}'`)
	if (withoutLock && name !== 'file') throw new Error('--without-lock is for --store file')
	return name
}

const checkServers = (text = '1', store) => {
	if (text !== '1' && store !== 'etcd') throw new Error('--servers is for --store etcd')
	const isGood = (value) => Number.isInteger(value) && value >= 1 && value <= MAX_SERVERS
	return checkNumber('servers', text, isGood, `a whole number from 1 to ${MAX_SERVERS}`)
}

const parse = () => {
	const { values } = parseArgs({ options: optionTypes })
	return {
		help: values.help,
		json: values.json,
		runtime: checkRuntime(values.runtime),
		store: checkStore(values.store, values['without-lock']),
		servers: checkServers(values.servers, values.store),
		withoutLock: values['without-lock'],
		watchers: checkNumber(
			'watchers',
			values.watchers,
			(value) => Number.isInteger(value) && value >= 1 && value <= MAX_WATCHERS,
			`a whole number from 1 to ${MAX_WATCHERS}`,
		),
		seconds: checkNumber(
			'seconds',
			values.seconds,
			(value) => value > 0 && value <= MAX_SECONDS,
			`a number above 0, at most ${MAX_SECONDS}`,
		),
	}
}

const show = ({ seconds, who, text }) => {
	console.log(`${seconds.toFixed(3).padStart(8)} s  ${who.padEnd(11)} ${text}`)
}

const run = async ({ json, ...options }) => {
	const interruption = new AbortController()
	const interrupt = (why) => interruption.abort(new Error(`stopped by ${why}`))
	for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
		// Once: who asks a second time wants it to end now.
		process.once(name, () => interrupt(name))
	}
	// With `| head` the output ends first; children and folder must not outlive that.
	process.stdout.on('error', ({ code }) => interrupt(code))
	try {
		const isEtcd = options.store === 'etcd'
		const play = isEtcd ? simulateEtcd : simulate
		const facts = await play({ ...options, signal: interruption.signal, onEvent: show })
		if (json) writeFileSync(json, `${JSON.stringify(facts, null, 2)}\n`)
		console.log((isEtcd ? etcdTableOf : tableOf)(facts).join('\n'))
		return facts.problems.length === 0 ? EXIT.fine : EXIT.lost
	} catch (error) {
		console.error(`The playground could not run to its end: ${error.message}`)
		return interruption.signal.aborted ? EXIT.interrupted : EXIT.couldNotRun
	}
}

const main = async () => {
	let options
	try {
		options = parse()
	} catch (error) {
		console.error(`${error.message}\n\n${HELP}`)
		return EXIT.couldNotRun
	}
	if (options.help) {
		console.log(HELP)
		return EXIT.fine
	}
	if (options.store === 'etcd' && !isInstalled()) {
		console.error(
			'--store etcd: there is no program etcd; install it (apt-get install etcd-server)',
		)
		return EXIT.couldNotRun
	}
	const { runtime, ...others } = options
	let program
	try {
		program = programOf(runtime, console.log)
	} catch (error) {
		console.error(error.message)
		return EXIT.couldNotRun
	}
	return run({ ...others, program })
}

process.exitCode = await main()
