// `npm run bench`: see --help. Speed is never a failure; a lost update of ours is.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCell } from './cell.mjs'
import { buildFloor } from './floor.mjs'
import { describeMachine } from './machine.mjs'
import { measureOneProcess } from './one-process.mjs'
import { help, OptionError, readOptions } from './options.mjs'
import { killAll } from './processes.mjs'
import { measureRecovery } from './recovery.mjs'
import { cellText, legend, machineText, othersText, resultsText, targetsText } from './report.mjs'
import { combine, defects } from './results.mjs'
import { measureStartUp } from './start-up.mjs'
import { checkTargets } from './targets.mjs'

/** All take turns, so that what the machine does for a while hits all of them. */
const runRounds = async ({ contestants, processes, rounds, ...work }, folder) => {
	const cells = []
	for (let round = 1; round <= rounds; round++) {
		for (const count of processes) {
			for (const contestant of contestants) {
				if (contestant.isFloor && count !== 1) continue
				const cell = await runCell({ ...work, contestant, processes: count }, folder)
				cells.push({ round, ...cell })
				console.log(cellText(cell, round, rounds))
			}
		}
	}
	return cells
}

const benchmark = async (options, folder) => {
	const machine = describeMachine(folder)
	console.log(`${machineText(machine)}\n`)
	if (machine.disk === 'tmpfs') {
		console.log('This folder is in memory: nothing here says how fast a disk is. See --dir.\n')
	}
	const startUp = measureStartUp()
	const recovery = await measureRecovery(folder)
	const oneProcess = await measureOneProcess(folder)
	const cells = await runRounds(options, folder)
	const results = combine(cells, options.processes)
	const targets = checkTargets(results, recovery, startUp, oneProcess)
	console.log(`\n${resultsText(results)}\n${legend}`)
	console.log(othersText(recovery, startUp, oneProcess))
	console.log(targetsText(targets))
	if (options.json) {
		const { seconds, updates, pause, rounds, processes } = options
		const settings = { seconds, updates, pause, rounds, processes }
		const all = { machine, settings, targets, results, recovery, startUp, oneProcess, cells }
		writeFileSync(options.json, `${JSON.stringify(all, null, 2)}\n`)
	}
	return defects(results, recovery, oneProcess)
}

const main = async () => {
	const options = readOptions(process.argv.slice(2))
	if (options.help) {
		console.log(help)
		return
	}
	buildFloor()
	const folder = mkdtempSync(join(options.dir, 'benchmark-'))
	const cleanUp = () => {
		killAll()
		rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
	}
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
		process.once(signal, () => {
			cleanUp()
			process.exit(1)
		})
	}
	try {
		const found = await benchmark(options, folder)
		if (found.length === 0) return
		console.error(`\nTHE ADDON FAILED:\n${found.map((text) => `  ${text}`).join('\n')}`)
		process.exitCode = 1
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
