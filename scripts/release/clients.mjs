// The programs that users install npm packages with: how each is installed, how it installs a package from a registry,
// and how code and programs of the package are started afterwards.

import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { installOnce } from '../npm-install.mjs'
import { installed, install as installRuntime, runtimes } from '../runtime-installs.mjs'
import { toolsFolder } from './paths.mjs'

/** Installs an npm package that has a program, once; returns the path of the program. */
export const installClient = (name, version, program) => {
	const folder = join(toolsFolder, `${name.replace('/', '-')}@${version}`)
	installOnce(folder, `${name}@${version}`, { options: ['--ignore-scripts'] })
	return join(folder, 'node_modules', name, program)
}

const node = process.execPath
const nodeRuns = (file) => [node, file]

const npm = (version) => ({
	name: 'npm',
	version,
	options: ['ignoreScripts', 'omitOptional'],
	prepare: () => installClient('npm', version, 'bin/npm-cli.js'),
	install: (program, what, { ignoreScripts, omitOptional }) => [
		node,
		program,
		'install',
		what,
		...(ignoreScripts ? ['--ignore-scripts'] : []),
		...(omitOptional ? ['--omit=optional'] : []),
	],
	lockElsewhere: (program, what) => [
		[node, program, 'install', what, '--package-lock-only', '--os=win32', '--cpu=arm64'],
		[node, program, 'ci'],
	],
	runs: () => nodeRuns,
	programs: (program, args) => [node, join(dirname(program), 'npx-cli.js'), ...args],
})

const runtime = (label) => runtimes.find((each) => each.label === label)

/**
 * Installs a runtime; returns a copy of its program below another folder. The package searches around the running
 * program, too, and would find what the tree has in node_modules. The copy is in a node_modules, where npm puts Bun:
 * from a folder without one, Bun downloads a package that is searched for and not there.
 */
const runtimeProgram = (label, folder) => {
	installRuntime(runtime(label))
	const programs = join(folder, 'runtimes', 'node_modules')
	mkdirSync(programs, { recursive: true })
	const program = join(programs, basename(installed(label)))
	copyFileSync(installed(label), program)
	return program
}

/**
 * Of each client:
 * - `prepare(folder)` installs it, and returns its program, which may be below the folder;
 * - `configure(folder, registry)` writes the files that name the registry, if the environment does not;
 * - `install(program, what, given)` is the command that installs a package, with those of its `options` that are
 *   given: `ignoreScripts`, `omitOptional`;
 * - `lockElsewhere(program, what)` is the commands that lock a package as on another system, and install what is
 *   locked here;
 * - `runs(program)` returns what makes a command of a file of JavaScript;
 * - `programs(program, args)` is the command that starts a program of a package.
 */
export const clients = [
	npm('10.9.9'),
	npm('11.21.2'),
	{
		name: 'pnpm',
		version: '10.34.8',
		options: ['ignoreScripts', 'omitOptional'],
		prepare: () => installClient('pnpm', '10.34.8', 'bin/pnpm.cjs'),
		install: (program, what, { ignoreScripts, omitOptional }) => [
			node,
			program,
			'add',
			what,
			...(ignoreScripts ? ['--ignore-scripts'] : []),
			...(omitOptional ? ['--no-optional'] : []),
		],
		runs: () => nodeRuns,
		programs: (program, args) => [node, program, 'exec', ...args],
	},
	{
		name: 'yarn',
		version: '1.22.22',
		options: ['ignoreScripts', 'omitOptional'],
		prepare: () => installClient('yarn', '1.22.22', 'bin/yarn.js'),
		install: (program, what, { ignoreScripts, omitOptional }) => [
			node,
			program,
			'add',
			what,
			...(ignoreScripts ? ['--ignore-scripts'] : []),
			...(omitOptional ? ['--ignore-optional'] : []),
		],
		runs: () => nodeRuns,
		programs: (program, args) => [node, program, '--silent', 'run', ...args],
	},
	{
		name: 'yarn pnp',
		version: '4.18.1',
		options: [],
		prepare: () => installClient('@yarnpkg/cli-dist', '4.18.1', 'bin/yarn.js'),
		configure: (folder, { url }) => {
			const settings = {
				npmRegistryServer: url,
				unsafeHttpWhitelist: ['127.0.0.1'],
				nodeLinker: 'pnp',
				// By itself yarn does so only for a project that is an ES module.
				pnpEnableEsmLoader: true,
				enableTelemetry: false,
				enableGlobalCache: false,
				npmMinimalAgeGate: 0,
			}
			writeFileSync(join(folder, '.yarnrc.yml'), JSON.stringify(settings))
			writeFileSync(join(folder, 'yarn.lock'), '')
		},
		install: (program, what) => [node, program, 'add', what],
		runs: (program) => (file) => [node, program, 'node', file],
		programs: (program, args) => [node, program, 'run', ...args],
	},
	{
		name: 'Bun',
		version: runtime('bun@1.4').version,
		options: ['ignoreScripts', 'omitOptional'],
		prepare: (folder) => runtimeProgram('bun@1.4', folder),
		install: (program, what, { ignoreScripts, omitOptional }) => [
			program,
			'add',
			what,
			...(ignoreScripts ? ['--ignore-scripts'] : []),
			...(omitOptional ? ['--omit=optional'] : []),
		],
		runs: (program) => (file) => [program, 'run', file],
		programs: (program, args) => [program, 'x', '--no-install', ...args],
	},
	{
		name: 'Deno',
		version: runtime('deno@2').version,
		options: [],
		prepare: (folder) => runtimeProgram('deno@2', folder),
		configure: (folder) =>
			// Deno takes no version of the last 24 hours unless it is told to.
			writeFileSync(
				join(folder, 'deno.json'),
				JSON.stringify({ nodeModulesDir: 'auto', minimumDependencyAge: '0' }),
			),
		install: (program, what) => [program, 'install', `npm:${what}`],
		runs: (program) => (file) => [program, 'run', '--allow-all', file],
		programs: (program, [name, ...args]) => [program, 'run', '--allow-all', `npm:${name}`, ...args],
	},
]
