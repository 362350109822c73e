// The command line.

import { statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { contestants } from './contestants.mjs'
import { parts } from './parts.mjs'

export class OptionError extends Error {}

const PLACES = ['disk', 'tmpfs']

const wrapped = (words) => words.join(', ').replace(/(.{40,70}), /g, `$1,\n${' '.repeat(20)}`)

export const help = `Usage: npm run bench -- [OPTIONS]

Measures locked updates of a small registry that processes share: this addon and this crate, beside
the JavaScript lock of older argus, proper-lockfile with write-file-atomic, SQLite,
LMDB, and the system calls alone. A full run takes a quarter of an hour.

  --quick           all parts in one round, in a few minutes: shows whether everything works
  --part LIST       only these parts, of
${Object.entries(parts)
	.map(([name, { summary }]) => `                      ${name.padEnd(13)}${summary}`)
	.join('\n')}
  --only LIST       only these contestants, of
                    ${wrapped(contestants.map(({ name }) => name))}
  --place LIST      disk, tmpfs (/dev/shm), or both (default: both)
  --rounds N        how many rounds, in each of which every contestant runs (default 3)
  --seconds S       how long a closed loop runs (default 0.8 for one process, 1.5 for several)
  --processes LIST  how many processes at once (default 2,4,10,32,64; only 10 for durable
                    contestants and on tmpfs)
  --dir DIR         a folder on the disk to measure. The run works in a fresh folder there, and
                    removes it at the end (default: target, in the repository)
  --json FILE       the file for the raw data (default target/benchmark.json)
  --publish         afterwards writes docs/benchmark.json, the pictures, and the tables of
                    README.md and docs/performance.md
  --help            prints this help
`

const definitions = {
	quick: { type: 'boolean', default: false },
	part: { type: 'string' },
	only: { type: 'string' },
	place: { type: 'string' },
	rounds: { type: 'string' },
	seconds: { type: 'string' },
	processes: { type: 'string' },
	dir: { type: 'string' },
	json: { type: 'string' },
	publish: { type: 'boolean', default: false },
	help: { type: 'boolean', default: false },
}

const parse = (args) => {
	try {
		return parseArgs({ args, options: definitions }).values
	} catch (error) {
		throw new OptionError(error.message)
	}
}

const number = (name, text, isValid, expected) => {
	const value = Number(text)
	if (text.trim() === '' || !isValid(value)) {
		throw new OptionError(`--${name} takes ${expected}, not '${text}'`)
	}
	return value
}

const isCount = (value) => Number.isSafeInteger(value) && value >= 1 && value <= 1_000
const isTime = (value) => value > 0 && value <= 3_600

/** The names of a list, in the order of the known names. An unknown name is an error. */
const chosen = (name, text, known) => {
	if (text === undefined) return known
	const names = text.split(',').map((each) => each.trim())
	const unknown = names.find((each) => !known.includes(each))
	if (unknown !== undefined) {
		throw new OptionError(`--${name} does not know '${unknown}'; there is ${known.join(', ')}`)
	}
	return known.filter((each) => names.includes(each))
}

const counts = (text) => {
	const found = text
		.split(',')
		.map((each) => number('processes', each, isCount, 'numbers like 1,4,10'))
	return [...new Set(found)].sort((a, b) => a - b)
}

const folder = (dir) => {
	if (dir === undefined || statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return dir
	throw new OptionError(`--dir takes a folder that exists, not '${dir}'`)
}

export const readOptions = (args) => {
	const values = parse(args)
	if (values.help) return { help: true }
	const { quick, publish, part, only, place, rounds, seconds, processes, dir, json } = values
	const names = chosen(
		'only',
		only,
		contestants.map(({ name }) => name),
	)
	if (publish && (part !== undefined || only !== undefined)) {
		throw new OptionError('--publish takes a run of all parts and contestants')
	}
	return {
		quick,
		publish,
		parts: chosen('part', part, Object.keys(parts)),
		contestants: contestants.filter(({ name }) => names.includes(name)),
		places: chosen('place', place, PLACES),
		...(rounds !== undefined && { rounds: number('rounds', rounds, isCount, 'a number like 3') }),
		...(seconds !== undefined && {
			seconds: number('seconds', seconds, isTime, 'a number of seconds, up to 3600'),
		}),
		...(processes !== undefined && { processes: counts(processes) }),
		dir: folder(dir),
		json,
	}
}
