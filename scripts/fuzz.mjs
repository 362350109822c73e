// Fuzzes one target after the other: `fuzz.mjs [target ...] [-- seconds]`, a minute each by default.
//
// A finding is kept in fuzz/artifacts/, and printed with the command that repeats it. What the fuzzer learns is
// kept in target/fuzz-corpus/; fuzz/corpus/ has what a person chose, which the tests replay.

import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const targets = readdirSync(join(root, 'fuzz', 'fuzz_targets')).map((name) =>
	name.replace('.rs', ''),
)

const args = process.argv.slice(2).filter((arg) => arg !== '--')
const seconds = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 60)
const named = args.filter((arg) => !/^\d+$/.test(arg))
const unknown = named.filter((name) => !targets.includes(name))
if (unknown.length > 0) {
	console.error(`There is no target ${unknown.join(', ')}; there are ${targets.join(', ')}.`)
	process.exit(2)
}

const cargo = (...cargoArgs) => {
	const { status, error } = spawnSync('cargo', cargoArgs, { cwd: root, stdio: 'inherit' })
	if (error) console.error(`cargo can't be run: ${error.message}`)
	return status
}

const hasCargoFuzz = spawnSync('cargo', ['fuzz', '--version'], { cwd: root }).status === 0
if (!hasCargoFuzz) {
	console.error('cargo-fuzz is not installed: cargo install cargo-fuzz')
	process.exit(1)
}

const failed = []
for (const target of named.length > 0 ? named : targets) {
	const learned = join('target', 'fuzz-corpus', target)
	mkdirSync(join(root, learned), { recursive: true })
	// Without a sanitizer: the crate has no unsafe code, and a sanitizer needs a nightly compiler.
	const how = ['--sanitizer', 'none', target, learned, join('fuzz', 'corpus', target)]
	const limits = [`-max_total_time=${seconds}`, '-max_len=2048', '-timeout=10']
	if (cargo('fuzz', 'run', ...how, '--', ...limits) !== 0) failed.push(target)
}
if (failed.length > 0) {
	console.error(`\nfailed: ${failed.join(', ')}`)
	process.exit(1)
}
