// `npm run bench`: see --help. Speed is never a failure. A lost update of this package is one, and so is
// an error.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildPrograms, killAll } from './children.mjs'
import { installEngines } from './engines.mjs'
import { describeMachine, makePlaces, removePlaces } from './machine.mjs'
import { help, OptionError, readOptions } from './options.mjs'
import { parts } from './parts.mjs'
import { publish } from './publish/publish.mjs'
import { legend, machineText, resultsText, targetsText } from './report.mjs'
import { combine, defects } from './results.mjs'
import { settingsOf } from './settings.mjs'
import { checkTargets } from './targets.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const print = (text) => console.log(text)

const runParts = async (context, names) => {
	const found = {}
	for (const name of names) {
		print(`\n== ${name}: ${parts[name].summary}`)
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

/** Printed at the beginning and again at the end, where a person looks after a long run. */
const gaps = (missing, skipped) => [
	...missing.map(({ name, why }) => `NOT COMPARED WITH ${name}, which can't be loaded: ${why}`),
	...skipped.map(({ place, why }) => `NOT MEASURED ON ${place}: ${why}`),
]

const report = ({ parts: found, targets }) => {
	for (const [name, { cells, results }] of Object.entries(found)) {
		if (cells) print(`\n${resultsText(name, results)}`)
	}
	print(`\n${legend}`)
	print(targetsText(targets))
}

const benchmark = async (options, places, skipped) => {
	const missing = options.contestants.some(({ engine }) => engine) ? installEngines() : []
	const machine = describeMachine(places)
	print(machineText(machine))
	const notes = gaps(missing, skipped)
	for (const note of notes) print(`\n${note}`)
	const contestants = options.contestants.filter(
		({ engine }) => !missing.some(({ name }) => name === engine),
	)
	const settings = settingsOf(options)
	const found = await runParts({ contestants, places, settings, print }, options.parts)
	const all = {
		machine,
		settings: { quick: options.quick, ...settings },
		notes,
		targets: checkTargets(found),
		parts: found,
	}
	report(all)
	for (const note of notes) print(`\n${note}`)
	const file = options.json ?? join(root, 'target', 'benchmark.json')
	mkdirSync(dirname(file), { recursive: true })
	writeFileSync(file, `${JSON.stringify(all)}\n`)
	print(`\nThe raw data is in ${file}`)
	const own = new Set(contestants.filter(({ isOwn }) => isOwn).map(({ name }) => name))
	return { all, failures: defects(found, (name) => own.has(name)) }
}

const main = async () => {
	const options = readOptions(process.argv.slice(2))
	if (options.help) return print(help)
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
