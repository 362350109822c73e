// The modules of docs/how-to/argus, put into a checkout that stands for argus by the script that does so for
// the real one, and compiled by tsc as argus would.

import { spawnSync } from 'node:child_process'
import {
	chmodSync,
	cpSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	realpathSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const here = dirname(fileURLToPath(import.meta.url))
export const root = join(here, '..', '..')

export const GENERATIONS = ['without-reservations', 'with-reservations']

const options = {
	target: ts.ScriptTarget.ES2022,
	module: ts.ModuleKind.NodeNext,
	moduleResolution: ts.ModuleResolutionKind.NodeNext,
	lib: ['lib.es2022.d.ts'],
	strict: true,
	verbatimModuleSyntax: true,
	exactOptionalPropertyTypes: true,
	noUncheckedIndexedAccess: true,
	noImplicitOverride: true,
	noUnusedLocals: true,
	noUnusedParameters: true,
	types: ['node'],
	typeRoots: [join(root, 'node_modules', '@types')],
}

const git = (dir, ...args) => {
	const as = [
		'-c',
		'user.name=argus',
		'-c',
		'user.email=argus@localhost',
		'-c',
		'commit.gpgsign=false',
	]
	const { status, stderr } = spawnSync('git', [...as, ...args], { cwd: dir, encoding: 'utf8' })
	if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}`)
}

/** A committed checkout of what stands for a generation of argus. */
export const checkout = (generation) => {
	const dir = realpathSync(mkdtempSync(join(tmpdir(), 'argus-registry-guide-')))
	// A user without privileges may have to read it.
	chmodSync(dir, 0o755)
	for (const from of [[], [generation]]) {
		const packages = join(here, 'argus', ...from, 'packages')
		cpSync(packages, join(dir, 'packages'), { recursive: true })
	}
	writeFileSync(join(dir, '.gitignore'), 'node_modules\n*.js\n')
	git(dir, 'init', '--quiet')
	git(dir, 'add', '.')
	git(dir, 'commit', '--quiet', '--message', 'argus')
	return {
		dir,
		commit: () => git(dir, 'commit', '--quiet', '--all', '--message', 'changed'),
		remove: () => rmSync(dir, { recursive: true, force: true }),
	}
}

/** Runs the script, by Node whatever runtime runs the tests: maintainers run it so. */
export const adopt = (...args) => {
	const script = join(root, 'scripts', 'adopt-argus.mjs')
	const program = process.versions.bun || process.versions.deno ? 'node' : process.execPath
	const { status, stdout, stderr } = spawnSync(program, [script, ...args], { encoding: 'utf8' })
	return { status, stdout, stderr }
}

const sourcesIn = (dir) =>
	readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
		const path = join(dir, entry.name)
		if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : sourcesIn(path)
		return path.endsWith('.ts') ? [path] : []
	})

/** The modules that the script copies. */
export const moduleFiles = sourcesIn(join(root, 'docs', 'how-to', 'argus'))

/** The texts of a checkout's files, less what git ignores, by path. */
export const filesOf = (dir) => {
	const { stdout } = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
		cwd: dir,
		encoding: 'utf8',
	})
	const files = stdout.split('\n').filter(Boolean).sort()
	return new Map(files.map((file) => [file, readFileSync(join(dir, file), 'utf8')]))
}

/** Lets the packages of a checkout find each other, and this package in `registryAt`. */
export const link = (dir, registryAt = root) => {
	const add = (target, name) => {
		const path = join(dir, 'node_modules', name)
		mkdirSync(dirname(path), { recursive: true })
		if (!existsSync(path)) symlinkSync(target, path, 'junction')
	}
	add(registryAt, 'argus-registry')
	for (const name of ['argus-core', 'argus-watcher', 'argus-client']) {
		add(join(dir, 'packages', name), `@vforsh/${name}`)
	}
}

/** Compiles a checkout in place; returns what tsc reports. */
export const compile = (dir) => {
	const program = ts.createProgram(sourcesIn(join(dir, 'packages')), options)
	const { diagnostics } = program.emit()
	return [...ts.getPreEmitDiagnostics(program), ...diagnostics].map((diagnostic) =>
		ts.formatDiagnostic(diagnostic, {
			getCanonicalFileName: (name) => name,
			getCurrentDirectory: ts.sys.getCurrentDirectory,
			getNewLine: () => '\n',
		}),
	)
}

/** A checkout on this package, compiled; `problems` are what tsc reports. `change` may break it before. */
export const build = (generation, change = () => {}) => {
	const { dir, remove } = checkout(generation)
	const { status, stdout, stderr } = adopt(dir)
	if (status !== 0) throw new Error(stderr)
	change(dir)
	link(dir)
	return { dir, remove, said: stdout, problems: compile(dir) }
}
