// `npm run bench`: see --help. Speed is never a failure; a lost update of ours is, or an error.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPrograms, killAll } from './children.mjs'
import { installEngines } from './engines.mjs'
import { describeMachine, makePlaces, removePlaces } from './machine.mjs'
import { help, OptionError, readOptions } from './options.mjs'
import { paceOf } from './pace.mjs'
import { parts } from './parts.mjs'
import { publish } from './publish/publish.mjs'
import { legend, machineText, resultsText, targetsText } from './report.mjs'
import { combine, defects } from './results.mjs'
import { checkTargets } from './targets.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const say = (text) => console.log(text)

const runParts = async (context, names) => {
	const found = {}
	for (const name of names) {
		say(`\n== ${name}: ${parts[name].what}`)
		const startedAt = performance.now()
		const data = await parts[name].run(context)
		found[name] = {
			...data,
			...(data.cells && { results: combine(data.cells) }),
			tookSeconds: (performance.now() - startedAt) / 1_000,
		}
	}
	return found
}

/** Said at the beginning and again at the end: nobody reads the beginning of a long run. */
const gaps = (missing, skipped) => [
	...missing.map(({ name, why }) => `NOT COMPARED WITH ${name}, which can't be loaded: ${why}`),
	...skipped.map(({ place, why }) => `NOT MEASURED ON ${place}: ${why}`),
]

const report = ({ parts: found, targets }) => {
	for (const [name, { cells, results }] of Object.entries(found)) {
		if (cells) say(`\n${resultsText(name, results)}`)
	}
	say(`\n${legend}`)
	say(targetsText(targets))
}

const benchmark = async (options, places, skipped) => {
	const missing = options.contestants.some(({ engine }) => engine) ? installEngines() : []
	const machine = describeMachine(places)
	say(machineText(machine))
	const notes = gaps(missing, skipped)
	for (const note of notes) say(`\n${note}`)
	const contestants = options.contestants.filter(
		({ engine }) => !missing.some(({ name }) => name === engine),
	)
	const pace = paceOf(options)
	const found = await runParts({ contestants, places, pace, say }, options.parts)
	const all = {
		machine,
		settings: { quick: options.quick, ...pace },
		notes,
		targets: checkTargets(found),
		parts: found,
	}
	report(all)
	for (const note of notes) say(`\n${note}`)
	const file = options.json ?? join(root, 'target', 'benchmark.json')
	mkdirSync(dirname(file), { recursive: true })
	writeFileSync(file, `${JSON.stringify(all)}\n`)
	say(`\nThe raw data is in ${file}`)
	const ours = new Set(contestants.filter(({ ours }) => ours).map(({ name }) => name))
	return { all, failures: defects(found, (name) => ours.has(name)) }
}

const main = async () => {
	const options = readOptions(process.argv.slice(2))
	if (options.help) return say(help)
	if (options.contestants.some(({ isProgram }) => isProgram)) buildPrograms()
	const { places, skipped } = makePlaces(options.places, options.dir)
	const cleanUp = () => {
		killAll()
		removePlaces(places)
	}
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
		process.once(signal, () => {
			cleanUp()
			process.exit(1)
		})
	}
	try {
		if (places.length === 0) throw new OptionError('there is no place to measure')
		const { all, failures } = await benchmark(options, places, skipped)
		if (failures.length > 0) {
			console.error(`\nTHE PACKAGE FAILED:\n${failures.map((text) => `  ${text}`).join('\n')}`)
			process.exitCode = 1
		} else if (options.publish) {
			await publish(all)
		}
	} finally {
		cleanUp()
	}
}

try {
	await main()
} catch (error) {
	console.error(error instanceof OptionError ? `${error.message}\nSee --help.` : error)
	process.exitCode = 1
}
