// Counts the instructions of an update and of its siblings, by callgrind. The count is nearly the same on
// every machine and under every load, so the gate can refuse a change that makes a call dearer.
// What the kernel does for a call is not in it.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { writeTable } from '../scripts/page.mjs'
import { markdownTable } from '../scripts/table.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const page = join(root, 'docs', 'performance.md')

/**
 * What is counted, in a registry of ten watchers, and how many instructions each may take: a tenth more than it
 * took when the number was written down. Compilers and C libraries differ by some percent.
 */
const CEILINGS = {
	update: 102_000,
	heartbeat: 95_000,
	announce: 95_000,
	read: 82_000,
	'folder-heartbeat': 54_000,
}

/** Runs of both lengths do once what a process does once: their difference is that many calls. */
const [SHORT_RUN, LONG_RUN] = [20, 220]

/** Functions with a smaller part of a call are not listed, and none that only call these: whole operations. */
const MIN_PROFILE_SHARE = 0.04
const OPERATIONS = /^(?:store|registry)::/

const HELP = `Instructions of the crate's calls, by callgrind.

Usage: npm run bench:instructions -- [options]

  --write-page  write the counts and their profile into docs/performance.md
  --help        show this

The exit code is 1 if a call takes more instructions than it may. Needs valgrind; where it is missing and
this runs as root on Debian or Ubuntu, it is installed.`

const installValgrind = () => {
	const isThere = () => spawnSync('valgrind', ['--version']).status === 0
	if (isThere()) return
	spawnSync('apt-get', ['install', '-y', '-qq', 'valgrind'], { stdio: ['ignore', 2, 2] })
	if (!isThere()) throw new Error('valgrind is not installed: install it by your package manager')
}

const build = () => {
	const flags = ['--quiet', '--locked', '--profile', 'counted', '--example', 'repeated_update']
	execFileSync('cargo', ['build', ...flags], { cwd: root, stdio: ['ignore', 2, 2] })
	const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
	return join(target, 'counted', 'examples', 'repeated_update')
}

/** The instructions of a run, and the file with callgrind's data. */
const count = (program, operation, times, dir) => {
	const data = join(dir, `${operation}.${times}`)
	const folder = mkdtempSync(join(dir, 'registry-'))
	const args = ['--tool=callgrind', `--callgrind-out-file=${data}`]
	const run = spawnSync('valgrind', [...args, program, operation, folder, String(times)], {
		encoding: 'utf8',
	})
	const collected = /Collected : (\d+)/.exec(run.stderr)?.[1]
	if (run.status !== 0 || !collected) throw new Error(`${operation}: ${run.stdout}${run.stderr}`)
	return { instructions: Number(collected), data }
}

/** The parts of a call: the crate's functions, each with what it calls, as parts of the whole run. */
const profile = (data) => {
	const text = execFileSync('callgrind_annotate', ['--inclusive=yes', '--threshold=100', data], {
		encoding: 'utf8',
		maxBuffer: 1 << 28,
		// It complains of an option of its own.
		stdio: ['ignore', 'pipe', 'ignore'],
	})
	const shares = new Map()
	for (const line of text.split('\n')) {
		const [, percent, name] = /^ *[\d,]+ \( *([\d.]+)%\) .*?:(\S.*?)(?: \[.*)?$/.exec(line) ?? []
		if (!name?.includes('argus_registry::') || name.startsWith('repeated_update')) continue
		const short = name.replaceAll('argus_registry::', '').replace(/'\d+$| \([\d,]+x\)$/g, '')
		shares.set(short, Math.max(shares.get(short) ?? 0, Number(percent) / 100))
	}
	const isShown = ([name, share]) =>
		share >= MIN_PROFILE_SHARE && !/closure|[<>]/.test(name) && !OPERATIONS.test(name)
	return [...shares].filter(isShown).sort((a, b) => b[1] - a[1])
}

const main = () => {
	const { values } = parseArgs({
		options: {
			'write-page': { type: 'boolean', default: false },
			help: { type: 'boolean', default: false },
		},
	})
	if (values.help) {
		console.log(HELP)
		return 0
	}
	installValgrind()
	const program = build()
	const dir = mkdtempSync(join(tmpdir(), 'argus-instructions-'))
	try {
		const counted = Object.entries(CEILINGS).map(([operation, ceiling]) => {
			const short = count(program, operation, SHORT_RUN, dir)
			const long = count(program, operation, LONG_RUN, dir)
			const each = (long.instructions - short.instructions) / (LONG_RUN - SHORT_RUN)
			return { operation, ceiling, each: Math.round(each), data: long.data }
		})
		const rows = counted.map(({ operation, each, ceiling }) => [
			operation,
			each.toLocaleString('en'),
			ceiling.toLocaleString('en'),
			each <= ceiling ? 'met' : 'MISSED',
		])
		const table = markdownTable(['call', 'instructions', 'at most', 'verdict'], rows)
		console.log(table)
		if (values['write-page']) {
			const parts = counted.flatMap(({ operation, data }) =>
				profile(data).map(([name, share]) => [
					operation,
					`\`${name}\``,
					`${(share * 100).toFixed(0)} %`,
				]),
			)
			const profiles = markdownTable(['call', 'function, with what it calls', 'part'], parts)
			writeTable('bench:instructions', `${table}\n\n${profiles}`, page)
		}
		return counted.every(({ each, ceiling }) => each <= ceiling) ? 0 : 1
	} finally {
		rmSync(dir, { recursive: true, force: true })
	}
}

process.exitCode = main()
