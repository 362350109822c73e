// Format, lints and typings: everything that is checked without running the code.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const bin = (name) => join(root, 'node_modules', '.bin', name)

const failed = []
const step = (what, ok) => {
	console.log(`${ok ? 'ok    ' : 'FAILED'} ${what}`)
	if (!ok) failed.push(what)
}
const run = (what, command, args, env = {}) => {
	const options = { cwd: root, encoding: 'utf8', env: { ...process.env, ...env } }
	const { status, stdout, stderr, error } = spawnSync(command, args, options)
	if (status !== 0) console.log(stdout ?? '', stderr ?? '', error?.message ?? '')
	step(what, status === 0)
}

run('rustfmt', 'cargo', ['fmt', '--check'])
run('clippy', 'cargo', ['clippy', '--locked', '--all-targets', '--', '-D', 'warnings'])
run('clippy, addon', 'cargo', [
	'clippy',
	'--locked',
	'--lib',
	'--features',
	'node',
	'--',
	'-D',
	'warnings',
])
run('rustdoc', 'cargo', ['doc', '--locked', '--no-deps'], { RUSTDOCFLAGS: '-D warnings' })
run('JavaScript: format and lints', bin('biome'), ['ci', '.'])
run('typings', bin('tsc'), ['-p', '.'])

// The packages per platform are napi's own: made anew, they must be what is committed.
const fresh = mkdtempSync(join(root, 'target', 'npm-'))
run('npm/ can be made', bin('napi'), ['create-npm-dirs', '--npm-dir', relative(root, fresh)])
const texts = (folder) =>
	readdirSync(folder, { recursive: true })
		.filter((name) => statSync(join(folder, name)).isFile())
		.sort()
		.map((name) => `${name}\n${readFileSync(join(folder, name), 'utf8')}`)
		.join('\n')
step('npm/ is as `npx napi create-npm-dirs` makes it', texts(fresh) === texts(join(root, 'npm')))
rmSync(fresh, { recursive: true })

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const cargoVersion = /^version = "(.+)"$/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1]
step('Cargo.toml and package.json have the same version', cargoVersion === version)

if (failed.length > 0) {
	console.error(`\n${failed.length} failed: ${failed.join(', ')}`)
	process.exit(1)
}
