// The command line.

import { mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { contestants } from './contestants.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

export class OptionError extends Error {}

export const help = `Usage: npm run bench -- [OPTIONS]

Measures locked updates of a registry: this addon beside a JavaScript lock written to argus's
seed document, proper-lockfile with write-file-atomic, and the bare system calls.

  --seconds S       how long one process runs (default 1.5)
  --updates N       how many updates each of several processes does (default 100)
  --pause MS        how long each of several processes pauses after an update, on average; 0 is
                    a load that no watcher makes (default 2)
  --rounds N        how often the contestants take turns (default 3)
  --processes LIST  how many processes at once (default 1,4,10)
  --only LIST       these contestants alone, of
                    ${contestants
											.map(({ name }) => name)
											.join(', ')
											.replace(/(.{40,70}), /g, '$1,\n                    ')}
  --dir DIR         the disk to measure: works in a fresh folder there, and removes it at the
                    end (default: target, in the repository)
  --json FILE       writes everything that was measured there
  --help            prints this
`

const definitions = {
	seconds: { type: 'string', default: '1.5' },
	updates: { type: 'string', default: '100' },
	pause: { type: 'string', default: '2' },
	rounds: { type: 'string', default: '3' },
	processes: { type: 'string', default: '1,4,10' },
	only: { type: 'string' },
	dir: { type: 'string' },
	json: { type: 'string' },
	help: { type: 'boolean', default: false },
}

const parse = (args) => {
	try {
		return parseArgs({ args, options: definitions }).values
	} catch (error) {
		throw new OptionError(error.message)
	}
}

const number = (name, text, isGood, what) => {
	const value = Number(text)
	if (text.trim() === '' || !isGood(value)) {
		throw new OptionError(`--${name} takes ${what}, not '${text}'`)
	}
	return value
}

const isPause = (value) => value >= 0 && value <= 60_000

const isCount = (value) => Number.isSafeInteger(value) && value >= 1

const chosen = (only) => {
	if (only === undefined) return contestants
	const names = only.split(',').map((name) => name.trim())
	const known = contestants.map(({ name }) => name)
	const unknown = names.find((name) => !known.includes(name))
	if (unknown !== undefined) {
		throw new OptionError(`--only does not know '${unknown}'; there is ${known.join(', ')}`)
	}
	return contestants.filter(({ name }) => names.includes(name))
}

const folder = (dir) => {
	if (dir === undefined) {
		const target = join(root, 'target')
		mkdirSync(target, { recursive: true })
		return target
	}
	if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
		throw new OptionError(`--dir takes a folder that exists, not '${dir}'`)
	}
	return dir
}

export const readOptions = (args) => {
	const values = parse(args)
	if (values.help) return { help: true }
	const processes = values.processes
		.split(',')
		.map((text) => number('processes', text, isCount, 'numbers like 1,4,10'))
	const isTime = (value) => value > 0 && value <= 3600
	return {
		seconds: number('seconds', values.seconds, isTime, 'a number of seconds, up to 3600'),
		updates: number('updates', values.updates, isCount, 'a number like 100'),
		pause: number('pause', values.pause, isPause, 'a number of milliseconds'),
		rounds: number('rounds', values.rounds, isCount, 'a number like 3'),
		processes: [...new Set(processes)].sort((a, b) => a - b),
		contestants: chosen(values.only),
		dir: folder(values.dir),
		json: values.json,
	}
}
