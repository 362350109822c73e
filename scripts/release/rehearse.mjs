// Rehearses a release: publishes all npm packages to a registry on the loopback interface, and installs and uses
// them as users do, each time in an empty folder.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import platforms from '../../lib/addon/platforms.js'
import { isInstalled as isEtcdInstalled, startCluster } from '../../playground/etcd/servers.mjs'
import { writeTable } from '../page.mjs'
import { install as installRuntime, runtimes } from '../runtime-installs.mjs'
import { markdownTable } from '../table.mjs'
import { clients } from './clients.mjs'
import { startRegistry } from './local-registry.mjs'
import { copyMuslNode, installMuslNode, muslNodeVersion } from './musl.mjs'
import { checkPackages } from './package-checks.mjs'
import { root } from './paths.mjs'
import { platformPackages, stage } from './stage.mjs'
import { installWine, nodeProgram, nodeVersion, wine } from './wine.mjs'

const usage = `npm run release:rehearse -- [CLIENT...] [--write-page]

Publishes the packages to a registry on this machine's loopback interface. Every client, or those that are named,
install them from there, and run them:
  ${clients.map(({ name, version }) => `${name}@${version}`).join(', ')}
Without names, every version of Node, and on Linux x64 a Node for musl and one for Windows, run them, too. What that
takes is installed from npm and PyPI into target/; musl itself comes from Debian, and Wine, if it is not there, by apt.
Needs the files of \`npm run release:build\`; platforms that
are not built are left out, and named. The package of the store in etcd talks to a server that is started from an
installed \`etcd\`; without one, it has to say that no server answers.
--write-page also writes the tables into docs/platforms.md, if nothing failed.`

const NAME = 'argus-registry'
/** Where a Node for musl, and Wine with one for Windows, run beside that for glibc. */
const isLinuxX64 = process.platform === 'linux' && process.arch === 'x64'
const { ETCD_PACKAGE, PROGRAM_PACKAGE } = platforms

/** The first example of a package's README, as an ES module. */
const readExample = (folder) => {
	const readme = readFileSync(join(root, folder, 'README.md'), 'utf8')
	const [, code] = /^```js\n(import .*?)^```$/ms.exec(readme)
	return code
}

/**
 * A server of etcd for the rehearsal, if `etcd` is installed: the example of the package for it with the server's
 * address, whether it `isThere`, and how to end it.
 */
const startEtcd = async (work) => {
	const example = (endpoint) => readExample('etcd/npm').replace('127.0.0.1:2379', endpoint)
	// Nothing listens on the first port of all.
	if (!isEtcdInstalled()) return { code: example('127.0.0.1:1'), isThere: false, stop: () => {} }
	const dir = join(work, 'etcd')
	mkdirSync(dir)
	const signal = AbortSignal.timeout(60_000)
	const { endpoints, stop } = await startCluster({ dir, address: '127.0.0.1', count: 1, signal })
	return { code: example(endpoints[0]), isThere: true, stop }
}

const asCommonJs = (code) => {
	const [first, ...rest] = code.split('\n')
	const imported = first.replace('import', 'const').replace(/ from '(.*)'/, " = require('$1')")
	return `${imported}\n;(async () => {\n${rest.join('\n')}\n})()\n`
}

/** Users have no Rust: what rustup has installed is not found. */
const withoutRust = (process.env.PATH ?? '')
	.split(delimiter)
	.filter((folder) => !existsSync(join(folder, 'rustup')))
	.join(delimiter)

/** An environment in which nothing of this machine's configuration is seen, only the rehearsal's registry. */
const environment = (home, url) => ({
	PATH: withoutRust,
	HOME: home,
	TMPDIR: home,
	CI: '1',
	NO_COLOR: '1',
	npm_config_registry: url,
	npm_config_fund: 'false',
	npm_config_audit: 'false',
	npm_config_update_notifier: 'false',
	NPM_CONFIG_REGISTRY: url,
	BUN_CONFIG_REGISTRY: url,
	YARN_REGISTRY: url,
	DENO_DIR: join(home, 'deno'),
	DENO_NO_UPDATE_CHECK: '1',
})

const run = ([command, ...args], cwd, env) => {
	const { status, stdout, stderr, error } = spawnSync(command, args, {
		cwd,
		env,
		encoding: 'utf8',
		timeout: 300_000,
	})
	const output = `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`
	return { isRight: status === 0, stdout: stdout ?? '', output }
}

/** An empty project in a folder of its own, and what runs a command in it. */
const makeProject = (client, registry, work) => {
	const folder = mkdtempSync(join(work, 'project-'))
	writeFileSync(join(folder, 'package.json'), '{"name":"rehearsal","private":true}\n')
	client.configure?.(folder, registry)
	const env = environment(join(work, 'home'), registry.url)
	const start = client.start ?? run
	return { folder, run: (command) => start(command, folder, env) }
}

/** A project with the package installed by a client, and what the client said. */
const installedBy = (client, program, registry, work, options = {}) => {
	const project = makeProject(client, registry, work)
	return { ...project, ...project.run(client.install(program, NAME, options)) }
}

/** One cell of the table: `right`, or FAILED with the output printed. */
const cell = (what, isRight, output, right = 'ok') => {
	if (!isRight) console.log(`\nFAILED ${what}:\n${output}`)
	return isRight ? right : 'FAILED'
}

/** Runs the example of the README as a kind of module. */
const runsExample = (client, program, { folder, run }, extension, code) => {
	const file = `example.${extension}`
	writeFileSync(join(folder, file), code)
	rmSync(join(folder, 'registry.json'), { force: true })
	const { isRight, output } = run(client.runs(program)(file))
	return cell(
		`${client.name}: ${file}`,
		isRight && /id: ["']app["']/.test(output) && output.includes('9223'),
		output,
	)
}

/** Installs the package of the program beside the other, and starts it. */
const runsProgram = (client, program, { run }) => {
	const what = `${client.name}: ${PROGRAM_PACKAGE} status`
	const added = run(client.install(program, PROGRAM_PACKAGE, {}))
	if (!added.isRight) return cell(what, false, added.output)
	// The package of the program has it under one name, the other package finds it under its own.
	const said = [PROGRAM_PACKAGE, NAME].map((name) =>
		run(client.programs(program, [name, 'status', 'registry.json'])),
	)
	const isRight = said.every(({ isRight, output }) => isRight && output.includes('registry.json'))
	return cell(what, isRight, said.map(({ output }) => output).join('\n'))
}

/** Runs the example of the store in etcd: without its package, which the error has to name, and with it. */
const runsEtcd = (client, program, { folder, run }, { code, isThere }) => {
	const what = `${client.name}: ${ETCD_PACKAGE}`
	writeFileSync(join(folder, 'etcd.mjs'), code)
	const example = () => run(client.runs(program)('etcd.mjs'))
	const without = example()
	const isNamed = !without.isRight && without.output.includes(`npm install ${ETCD_PACKAGE}`)
	if (!isNamed) return cell(`${what}, without it`, false, without.output)
	const added = run(client.install(program, ETCD_PACKAGE, {}))
	if (!added.isRight) return cell(what, false, added.output)
	const { isRight, output } = example()
	if (isThere) return cell(what, isRight && /id: ["']app/.test(output), output)
	return cell(what, !isRight && output.includes('is not available'), output, 'no server')
}

/** The error of a package whose optional package is left out: it has to say how to install it. */
const saysHowToInstall = (client, program, { folder, run }, code) => {
	writeFileSync(join(folder, 'example.mjs'), code)
	const { isRight, output } = run(client.runs(program)('example.mjs'))
	const isClear = !isRight && output.includes('install it without --omit=optional')
	return cell(`${client.name}: without optional packages`, isClear, output, 'clear error')
}

/** Installs what is locked as on another system, and runs the example. */
const runsLockedElsewhere = (client, program, project, code) => {
	for (const command of client.lockElsewhere(program, NAME)) {
		const { isRight, output } = project.run(command)
		if (!isRight) return cell(`${client.name}: ${command.join(' ')}`, isRight, output)
	}
	return runsExample(client, program, project, 'mjs', code)
}

const rehearse = (client, registry, work, code, etcd) => {
	console.log(`${client.name} ${client.version} ...`)
	const program = client.prepare(work)
	const install = (options) => installedBy(client, program, registry, work, options)
	const project = install()
	return [
		client.name,
		client.version,
		cell(`${client.name}: install`, project.isRight, project.output),
		runsExample(client, program, project, 'mjs', code),
		runsExample(client, program, project, 'cjs', asCommonJs(code)),
		runsProgram(client, program, project),
		runsEtcd(client, program, project, etcd),
		client.options.includes('ignoreScripts')
			? runsExample(client, program, install({ ignoreScripts: true }), 'mjs', code)
			: '-',
		client.options.includes('omitOptional')
			? saysHowToInstall(client, program, install({ omitOptional: true }), code)
			: '-',
		client.lockElsewhere
			? runsLockedElsewhere(client, program, makeProject(client, registry, work), code)
			: '-',
	]
}

/** Runs the example of the README by a runtime, as both kinds of module. */
const runtimeRow = (name, version, program, project, code) => {
	const client = { name: `${name} ${version}`, runs: () => (file) => [program, file] }
	const runs = (extension, text) => runsExample(client, undefined, project, extension, text)
	return [name, version, runs('mjs', code), runs('cjs', asCommonJs(code))]
}

/** Runs the example of the README by each version of Node, from one installation. */
const rehearseRuntimes = (registry, work, code) => {
	const npm = clients.find(({ name }) => name === 'npm')
	const project = installedBy(npm, npm.prepare(work), registry, work)
	return runtimes
		.filter(({ kind }) => kind === 'node')
		.map((runtime) => {
			console.log(`${runtime.label} ...`)
			installRuntime(runtime)
			return runtimeRow('Node', runtime.version, runtime.binary, project, code)
		})
}

/**
 * Has npm choose the packages as on a system with musl, and runs the example of the README by a Node for musl. npm is told
 * the C library: it asks the `ldd` of the machine, whichever Node runs it.
 */
const rehearseMusl = (registry, work, code) => {
	console.log(`Node for musl ${muslNodeVersion} ...`)
	installMuslNode()
	const program = copyMuslNode(join(work, 'node-for-musl'))
	const npm = clients.find(({ name }) => name === 'npm')
	const byMusl = {
		...npm,
		install: (...args) => [program, ...npm.install(...args).slice(1), '--libc=musl'],
	}
	const project = installedBy(byMusl, npm.prepare(work), registry, work)
	cell('npm by Node for musl: install', project.isRight, project.output)
	return runtimeRow('Node for musl', muslNodeVersion, program, project, code)
}

/** Runs a command of Windows, with the rehearsal's registry, and without what `npm run` tells of this user's npm. */
const runByWine = (command, cwd, { HOME, npm_config_registry }) => {
	const npm_config_cache = join(HOME, 'npm-cache-of-windows')
	const [program, ...args] = command
	const isNpms = (name) => name.toLowerCase().startsWith('npm_')
	const base = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isNpms(name)))
	const env = { npm_config_registry, npm_config_cache }
	const { status, output } = wine(program, args, { cwd, base, env, timeout: 300_000 })
	return { isRight: status === 0, stdout: output, output }
}

/** Wine lacks the options of sockets by which Node has a connection kept alive, and npm's connections fail with them. */
const WITHOUT_KEEP_ALIVE =
	"data:text/javascript,import net from 'node:net';net.Socket.prototype.setKeepAlive=function(){return this}"

/** Has npm install the package by a Node for Windows, and runs the example of the README by that Node. */
const rehearseWindows = (registry, work, code) => {
	console.log(`Node for Windows ${nodeVersion} ...`)
	try {
		installWine()
	} catch (error) {
		console.log(`Node for Windows is left out: ${error.message}`)
		return ['Node for Windows', nodeVersion, 'left out', 'left out']
	}
	const npm = clients.find(({ name }) => name === 'npm')
	const byWine = {
		...npm,
		install: (...args) => [
			nodeProgram,
			`--import=${WITHOUT_KEEP_ALIVE}`,
			...npm.install(...args).slice(1),
		],
		start: runByWine,
	}
	const project = installedBy(byWine, npm.prepare(work), registry, work)
	cell('npm by Node for Windows: install', project.isRight, project.output)
	return runtimeRow('Node for Windows', nodeVersion, nodeProgram, project, code)
}

const head = [
	'client',
	'version',
	'install',
	'ESM',
	'CommonJS',
	'program',
	'etcd',
	'--ignore-scripts',
	'--omit=optional',
	'locked elsewhere',
]

const runtimeHead = ['runtime', 'version', 'ESM', 'CommonJS']

/** Publishes the folders to the rehearsal's registry. */
const publishAll = (folders, { url, port }, work) => {
	const home = join(work, 'home')
	mkdirSync(home, { recursive: true })
	// The npm client sends nothing without a token. Any will do.
	writeFileSync(join(home, '.npmrc'), `//127.0.0.1:${port}/:_authToken=rehearsal\n`)
	for (const folder of folders) {
		const { isRight, output } = run(['npm', 'publish', folder], work, environment(home, url))
		if (!isRight) throw new Error(`npm can't publish ${folder}: ${output}`)
	}
}

const main = async (args) => {
	if (args.includes('--help')) return console.log(usage)
	const names = args.filter((each) => each !== '--write-page')
	const chosen = clients.filter(
		({ name, version }) =>
			names.length === 0 || names.some((each) => each === name || each === `${name}@${version}`),
	)
	const isUnknown = (each) =>
		!clients.some(({ name, version }) => each === name || each === `${name}@${version}`)
	const unknown = names.find(isUnknown)
	if (unknown !== undefined) throw new Error(`there is no client ${unknown}\n\n${usage}`)
	const packages = platformPackages()
	const built = packages.filter(({ missing }) => missing.length === 0)
	/** Whether the addon of another system is built, and can be run here. */
	const runs = (platform) =>
		isLinuxX64 &&
		built.some(({ kind, release }) => kind === 'addon' && release.platform === platform)
	for (const { manifest, missing } of packages) {
		if (missing.length > 0) console.log(`${manifest.name} is left out: no ${missing.join(', ')}`)
	}
	const folders = await stage(built)
	console.log('Checking the packages ...')
	const checks = checkPackages(folders)
	const work = mkdtempSync(join(tmpdir(), 'argus-rehearsal-'))
	const registry = await startRegistry(join(work, 'registry'))
	let etcd
	let rows
	let runtimeRows = []
	try {
		etcd = await startEtcd(work)
		publishAll(folders, registry, work)
		const code = readExample('.')
		rows = chosen.map((client) => rehearse(client, registry, work, code, etcd))
		if (names.length === 0) {
			runtimeRows = [
				...rehearseRuntimes(registry, work, code),
				...(runs('linux-x64-musl') ? [rehearseMusl(registry, work, code)] : []),
				...(runs('win32-x64-msvc') ? [rehearseWindows(registry, work, code)] : []),
			]
		}
	} finally {
		await etcd?.stop()
		registry.stop()
		rmSync(work, { recursive: true, force: true })
	}
	const checkRows = checks.map(({ name, isRight, output }) => [name, cell(name, isRight, output)])
	const tables = [
		markdownTable(head, rows),
		...(runtimeRows.length > 0 ? [markdownTable(runtimeHead, runtimeRows)] : []),
		markdownTable(['check', 'result'], checkRows),
	].join('\n\n')
	console.log(`\nNode ${process.version}, ${process.platform} on ${process.arch}\n\n${tables}`)
	if ([...rows, ...runtimeRows, ...checkRows].some((row) => row.includes('FAILED'))) process.exit(1)
	if (args.includes('--write-page')) writeTable('release:rehearse', tables)
}

try {
	await main(process.argv.slice(2))
} catch (error) {
	console.error(`release:rehearse: ${error.message}`)
	process.exit(1)
}
