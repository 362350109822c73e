// Runs everything that goes beyond tests of examples, and ends with one table of what was covered.

import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const model = (...args) => [
	'cargo',
	...['run', '--quiet', '--locked', '--profile', 'proof', '-p', 'argus-registry-model', '--'],
	...args,
]

const threads = (...args) => [
	'cargo',
	...['run', '--quiet', '--locked', '--manifest-path', 'interleavings/Cargo.toml'],
	...['--target-dir', 'target/interleavings', '--'],
	...args,
]

/** A program that stops before each step of the model, in a build of its own: no other has those points. */
const stopping = 'target/stopping-points'
const stoppingBuild = [
	'cargo',
	...['build', '--quiet', '--locked', '--example', 'replayed_updates', '--target-dir', stopping],
	...['--config', 'build.rustflags=["--cfg=argus_stopping_points"]'],
]
const stoppingProgram = `${stopping}/debug/examples/replayed_updates`

const node = (...args) => [process.execPath, ...args]
const page = 'docs/concepts/proof.md'

/**
 * What is run, in this order. `short` is what the gate runs and `long` is all of it: each a list of
 * commands, every one an array of a program and its arguments.
 *
 * A command reports by lines of its standard output that begin with `proof: `, one for each row of the
 * table, as JSON: `{ what, size, seconds, violations, detail }`. `what` says what was covered and `size`
 * how much of it ("12,345 states", "310 faults"); `detail` (optional) names the violation with the seed
 * that repeats it. All other lines are shown as they come. A command that fails is a violation too.
 */
const parts = [
	{
		name: 'model',
		covers: 'every order of the steps of 2 and 3 processes, in a model',
		short: [model('check'), model('page', page)],
		long: [model('check', '--long'), model('page', page)],
	},
	{
		name: 'replay',
		covers: "the model's orders, replayed on the code step by step (Linux only)",
		short: [stoppingBuild, model('replay', stoppingProgram)],
		long: [stoppingBuild, model('replay', '--long', stoppingProgram)],
	},
	{
		name: 'threads',
		covers: 'how the threads of a process interleave in its queue, pool and cancel tokens',
		short: [threads()],
		long: [threads('--long')],
	},
	{
		name: 'faults',
		covers: 'each operation, killed and failed at every one of its system calls',
		short: [node('scripts/faults.mjs', 'faults', '--short')],
		long: [node('scripts/faults.mjs', 'faults')],
	},
	{
		name: 'power',
		covers: 'every state of the disk that a crash of a durable operation can leave',
		short: [node('scripts/faults.mjs', 'power')],
		long: [node('scripts/faults.mjs', 'power')],
	},
	{
		name: 'histories',
		covers: 'what processes of every kind were told, under kills, freezes and clock steps',
		short: [node('tests/histories/run.mjs')],
		long: [node('tests/histories/run.mjs', '--long')],
	},
]

const usage = `npm run test:proof -- [--long] [part ...]

Runs all parts, or those that are named, in the size that fits the gate; with --long in full.

${parts.map(({ name, covers }) => `  ${name.padEnd(12)}${covers}`).join('\n')}`

const args = process.argv.slice(2)
const isLong = args.includes('--long')
const named = args.filter((arg) => arg !== '--long')
const unknown = named.filter((name) => !parts.some((part) => part.name === name))
if (unknown.length > 0) {
	console.error(`${usage}\n\nThere is no part ${unknown.join(', ')}.`)
	process.exit(args.includes('--help') ? 0 : 2)
}

const ROW = 'proof: '

/** Runs one command; returns the rows that it reported. */
const run = ([program, ...programArgs]) =>
	new Promise((resolve) => {
		console.log(`\n$ ${program} ${programArgs.join(' ')}`)
		const started = performance.now()
		const child = spawn(program, programArgs, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
		const rows = []
		let rest = ''
		const line = (text) => {
			if (text.startsWith(ROW)) rows.push(JSON.parse(text.slice(ROW.length)))
			else console.log(text)
		}
		child.stdout.setEncoding('utf8')
		child.stdout.on('data', (chunk) => {
			const lines = (rest + chunk).split('\n')
			rest = lines.pop()
			for (const text of lines) line(text)
		})
		const end = (why) => {
			if (rest) line(rest)
			if (why) {
				const seconds = (performance.now() - started) / 1000
				const what = [program, ...programArgs].join(' ')
				rows.push({ what, size: '', seconds, violations: 1, detail: why })
			}
			resolve(rows)
		}
		child.on('error', (error) => end(`it can't be run: ${error.message}`))
		child.on('close', (code, signal) => {
			const isReported = rows.some(({ violations }) => violations > 0)
			end(code === 0 || isReported ? undefined : `it ended with ${signal ?? code}`)
		})
	})

const table = []
const startedAt = performance.now()
for (const part of parts.filter(({ name }) => named.length === 0 || named.includes(name))) {
	for (const command of isLong ? part.long : part.short) {
		for (const row of await run(command)) table.push({ part: part.name, ...row })
	}
}

const cells = table.map(({ part, what, size, seconds, violations }) => [
	part,
	what,
	size,
	seconds === undefined ? '' : `${seconds.toFixed(1)} s`,
	`${violations} violation${violations === 1 ? '' : 's'}`,
])
const heads = ['part', 'what was covered', 'size', 'time', 'found']
const widths = heads.map((head, column) =>
	Math.max(head.length, ...cells.map((row) => row[column].length)),
)
const print = (row) =>
	console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  '))
console.log()
print(heads)
print(widths.map((width) => '-'.repeat(width)))
for (const row of cells) print(row)
const minutes = (performance.now() - startedAt) / 60_000
console.log(`\nIn ${minutes.toFixed(1)} minutes, with what had to be built.`)
const violated = table.filter(({ violations }) => violations > 0)
for (const { part, what, detail } of violated) console.error(`\n${part}: ${what}: ${detail ?? ''}`)
process.exitCode = violated.length > 0 || table.length === 0 ? 1 : 0
