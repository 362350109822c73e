// Puts argus on this package: copies the modules of docs/how-to/argus into a checkout of argus, and edits
// the places there that have to change with them. docs/how-to/adopting-in-argus.md says why.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const modules = join(root, 'docs', 'how-to', 'argus')

const usage = `node scripts/adopt-argus.mjs CHECKOUT

Puts the argus in the folder CHECKOUT on argus-registry: copies modules, edits call sites, adds the
dependency to packages/argus-core/package.json, and prints each file that it changed. It commits and
installs nothing: read the result with \`git diff\`. A second run changes nothing.

Nothing is changed if CHECKOUT is no checkout of argus, is one of a version that this script does not
know, or has uncommitted changes in a file that would be changed.

docs/how-to/adopting-in-argus.md names the versions.`

/** What keeps the script from its work; its message is for the user. */
class Refusal extends Error {}

const CORE = 'packages/argus-core'
const WATCHER_REGISTRY = 'packages/argus-watcher/src/registry/registry.ts'
const RUNTIME = 'packages/argus-watcher/src/startWatcherRuntime.ts'

/** The generations of argus, by what only their watchers' module has. */
const generations = [
	{ mark: 'reserveWatcherId', folders: ['packages'] },
	{ mark: 'resolveUniqueWatcherId', folders: ['packages', 'without-reservations/packages'] },
]

const filesIn = (folder) =>
	existsSync(folder)
		? readdirSync(folder, { withFileTypes: true, recursive: true })
				.filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
				.map((entry) => join(entry.parentPath ?? entry.path, entry.name))
				.sort()
		: []

/** The files of a checkout as they should be: read once, and written only when all of them are known. */
class Checkout {
	#texts = new Map()

	constructor(dir) {
		this.dir = dir
	}

	/** The text that a file has now, or is going to have; undefined if there is no such file. */
	text(file) {
		const path = join(this.dir, file)
		return this.#texts.get(file) ?? (existsSync(path) ? readFileSync(path, 'utf8') : undefined)
	}

	put(file, text) {
		if (text !== this.text(file)) this.#texts.set(file, text)
	}

	/** Replaces what matches; undefined if nothing does. */
	edit(file, pattern, replacement) {
		const text = this.text(file)
		if (text === undefined || !pattern.test(text)) return undefined
		this.put(file, text.replace(pattern, replacement))
		return file
	}

	get changed() {
		return [...this.#texts.keys()].sort()
	}

	write() {
		for (const [file, text] of this.#texts) {
			mkdirSync(dirname(join(this.dir, file)), { recursive: true })
			writeFileSync(join(this.dir, file), text)
		}
	}
}

const generationOf = (checkout) => {
	const registry = checkout.text(WATCHER_REGISTRY)
	if (registry === undefined || checkout.text(`${CORE}/src/registry/lock.ts`) === undefined) {
		throw new Refusal(`${checkout.dir} is no checkout of an argus whose registry has a lock`)
	}
	const generation = generations.find(({ mark }) => registry.includes(`export const ${mark} `))
	if (generation) return generation
	throw new Refusal(
		`${WATCHER_REGISTRY} exports none of ${generations.map(({ mark }) => mark).join(', ')}: a version that is not known`,
	)
}

/** A module that only some versions have is replaced there, and made nowhere. */
const isOptional = (file) => file.startsWith('packages/argus-client/')

const copyModules = (checkout, { folders }) => {
	for (const folder of folders) {
		const from = join(modules, folder)
		for (const path of filesIn(from)) {
			const file = `packages${path.slice(from.length).replaceAll('\\', '/')}`
			if (isOptional(file) && checkout.text(file) === undefined) continue
			checkout.put(file, readFileSync(path, 'utf8'))
		}
	}
}

const addDependency = (checkout) => {
	const file = `${CORE}/package.json`
	const text = checkout.text(file)
	if (text === undefined) throw new Refusal(`${checkout.dir} has no ${file}`)
	const manifest = JSON.parse(text)
	const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
	// One that is there stays: it may be a checkout's folder.
	manifest.dependencies = { 'argus-registry': `^${version}`, ...manifest.dependencies }
	const indent = /^([ \t]+)"/m.exec(text)?.[1] ?? '\t'
	checkout.put(file, `${JSON.stringify(manifest, null, indent)}\n`)
}

/** Adds names to a module's imports from argus-core. */
const importFromCore = (checkout, file, names) =>
	checkout.edit(file, /^import /m, `import { ${names} } from '@vforsh/argus-core'\nimport `)

/** Entries are removed by the record that was found dead, not by its id. */
const removeByRecord = (checkout) => {
	for (const packageName of ['argus', 'argus-client']) {
		for (const path of filesIn(join(checkout.dir, 'packages', packageName, 'src'))) {
			const file = path.slice(checkout.dir.length + 1).replaceAll('\\', '/')
			const call = (rest) => new RegExp(`removeWatcherAndPersist\\(watcher\\.id${rest}\\)`, 'g')
			checkout.edit(file, call(''), 'removeWatcherAndPersist(watcher.id, undefined, watcher)')
			checkout.edit(file, call(', ([\\w.]+)'), 'removeWatcherAndPersist(watcher.id, $1, watcher)')
			checkout.edit(
				file,
				/removeWatchersAndPersist\(removedIds\)/,
				'removeWatchersAndPersist(removedIds, undefined, registry.watchers)',
			)
		}
	}
}

/** The program prints an error of the registry in one line. Returns what is left to do by hand. */
const printInOneLine = (checkout) => {
	const pattern =
		/(parseAsync\(process\.argv\)\.catch\(\((\w+)(?:: unknown)?\) => \{\s*console\.error\()\2\)/
	const files = ['packages/argus/src/cli/runCli.ts', 'packages/argus/src/bin.ts']
	if (files.some((file) => checkout.text(file)?.includes('isRegistryError('))) return []
	const edited = files.find((file) =>
		checkout.edit(file, pattern, '$1isRegistryError($2) ? errorLine($2) : $2)'),
	)
	if (!edited) return [`print \`errorLine(error)\` where the program ends by an error`]
	importFromCore(checkout, edited, 'errorLine, isRegistryError')
	return []
}

const announcement = `	await announceWatcher(record).catch(async (error: unknown) => {
		await Promise.allSettled([sourceHandle.stop(), fileLogger?.close(), server.close()])
		throw error
	})
	// Another watcher may have taken the id since it was resolved.
	watcherId = record.id
`

/** A watcher gets its id when it is announced; one that can't be announced ends. */
const announceLast = (checkout) => {
	if (checkout.text(RUNTIME)?.includes(announcement)) return
	const pattern =
		/(\tsourceHandle\.syncWatcherInfo\?\.\(\{[^}]*\}\)\n)?\tawait announceWatcher\(record\)\n/
	const edited = checkout.edit(RUNTIME, pattern, (_, sync = '') => announcement + sync)
	if (!edited) throw new Refusal(`${RUNTIME} announces its watcher in a way that is not known`)
}

/** The watchers' own module stays; a heartbeat that fails prints one line. */
const reportHeartbeats = (checkout) => {
	const pattern = /(failed for \$\{watcher\.id\}:)`, error\)/
	if (checkout.edit(WATCHER_REGISTRY, pattern, '$1 $${errorLine(error)}`)')) {
		importFromCore(checkout, WATCHER_REGISTRY, 'errorLine')
	}
}

/** Changes the texts of a checkout; returns what is left to do by hand. */
const adopt = (checkout) => {
	const generation = generationOf(checkout)
	copyModules(checkout, generation)
	addDependency(checkout)
	removeByRecord(checkout)
	if (generation.mark === 'reserveWatcherId') reportHeartbeats(checkout)
	else announceLast(checkout)
	return printInOneLine(checkout)
}

/** Those of the files that git has uncommitted changes of. */
const uncommitted = (dir, files) => {
	if (files.length === 0) return []
	const args = ['status', '--porcelain', '--untracked-files=all', '--', ...files]
	try {
		const output = execFileSync('git', args, { cwd: dir, encoding: 'utf8', stdio: 'pipe' })
		return output.split('\n').filter(Boolean)
	} catch (error) {
		throw new Refusal(`git can't say what is committed in ${dir}: ${String(error.stderr).trim()}`)
	}
}

const main = (args) => {
	if (args.includes('--help') || args.includes('-h')) return console.log(usage)
	const [dir, ...others] = args
	if (!dir || dir.startsWith('-') || others.length > 0) {
		console.error(usage)
		process.exit(2)
	}
	const checkout = new Checkout(dir)
	const byHand = adopt(checkout)
	const { changed } = checkout
	const dirty = uncommitted(dir, changed)
	if (dirty.length > 0) {
		throw new Refusal(
			`commit or stash these first:\n${dirty.map((line) => `  ${line}`).join('\n')}`,
		)
	}
	checkout.write()
	for (const file of changed) console.log(`changed ${file}`)
	if (changed.length === 0) console.log('nothing to change')
	for (const what of byHand) console.log(`left to do by hand: ${what}`)
}

try {
	main(process.argv.slice(2))
} catch (error) {
	if (!(error instanceof Refusal)) throw error
	console.error(`adopt-argus: ${error.message}\nNothing was changed.`)
	process.exit(1)
}
