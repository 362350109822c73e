// Writes lib/addon/addon.d.ts and etcd/node/addon.d.ts: the types of the addons' functions, for tsc's check of lib/.
//
// napi-derive writes down what it exports, one JSON object per line, while it expands its macros.
// That form is turned into TypeScript here, in some forty lines: @napi-rs/cli would do it too, with
// 67 packages of 82 MB that nothing else here needs.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import border from '../lib/addon/border.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** The types that the addons have as generic Rust types, which napi-derive only names. */
const prelude = (
	source,
	background,
) => `// Made by scripts/typings.mjs from ${source}. Changes by hand are overwritten.

import type { RegistryErrorCode, RegistryWarning } from '../../index.js'

/** What every call that can fail returns: its value as it is, or a failure, which carries a tag. */
export type AddonResult<T> = T | AddonFailure

/** What a call that works in the background returns.${background === 'Promise<T>' ? '' : ' background.js makes a promise of it.'} */
export type Background<T> = ${background}
`

/** The two addons: the core's, and that of the store in etcd. */
export const ADDONS = {
	core: {
		crate: 'argus-registry',
		flags: ['--lib', '--features', 'typings'],
		typingsFile: join(root, 'lib', 'addon', 'addon.d.ts'),
		prelude: prelude('src/node', 'T | Promise<T> | PolledWork'),
	},
	etcd: {
		crate: 'argus-registry-etcd-node',
		flags: ['-p', 'argus-registry-etcd-node', '--lib', '--features', 'typings'],
		typingsFile: join(root, 'etcd', 'node', 'addon.d.ts'),
		prelude: prelude('etcd/node', 'Promise<T>'),
	},
}

export const { typingsFile } = ADDONS.core

/**
 * What napi-derive says about the exports. It says it while it compiles, so the crate is compiled.
 */
const exported = ({ crate, flags }) => {
	// A folder that no earlier run has used: Cargo compiles the crate again when the variable
	// changes.
	const dir = mkdtempSync(join(tmpdir(), 'argus-registry-typings-'))
	try {
		execFileSync('cargo', ['check', '--locked', '--quiet', ...flags], {
			cwd: root,
			stdio: 'inherit',
			env: { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: dir },
		})
		const lines = readFileSync(join(dir, crate), 'utf8').trim().split('\n')
		return lines.map((line) => JSON.parse(line))
	} finally {
		rmSync(dir, { recursive: true, force: true })
	}
}

/** One level deeper. Methods come with a space before them, of which only comments need theirs. */
const indent = (text) => text.replace(/^ (?!\*)/gm, '').replace(/^(?=.)/gm, '\t')

const block = (head, body) => (body === '' ? `${head} {}` : `${head} {\n${indent(body)}\n}`)

/** An object that only the addon makes has no constructor for JavaScript. */
const classBody = (members) =>
	/^\s*constructor\(/m.test(members) ? members : `private constructor()\n${members}`.trimEnd()

/** How each kind of export is declared. The methods of a class come as an export of their own. */
const declarations = {
	fn: ({ def }) => `export ${def}`,
	interface: ({ name, def }) => block(`export interface ${name}`, def),
	struct: ({ name }, methods) => block(`export class ${name}`, classBody(methods.get(name) ?? '')),
	impl: () => undefined,
}

/** The text of an addon's typings, as the Rust code has them now. */
export const makeTypings = (addon = ADDONS.core) => {
	const all = exported(addon)
	const methods = new Map(all.filter(({ kind }) => kind === 'impl').map((e) => [e.name, e.def]))
	const unknown = all.find(({ kind }) => !(kind in declarations))
	if (unknown) throw new Error(`scripts/typings.mjs does not know exports of kind ${unknown.kind}`)
	const declared = all
		.sort((a, b) => (a.name < b.name ? -1 : 1))
		.map((each) => [each.js_doc, declarations[each.kind](each, methods)])
		.filter(([, declaration]) => declaration !== undefined)
		.map(([doc, declaration]) => `${doc}${declaration}\n`)
	return [addon.prelude, ...declared].join('\n').replace(/[ \t]+$/gm, '')
}

/** The hash of typings, less their comments and spaces: of what crosses the border. */
export const hashOf = (typings) => {
	const declared = typings.replace(/\/\*[\s\S]*?\*\/|^\/\/.*$/gm, '').replace(/\s+/g, ' ')
	return createHash('sha256').update(declared).digest('hex').slice(0, 16)
}

/** What to do about typings that are not those of the border version; undefined if they are. */
export const borderProblem = (typings) => {
	const hash = hashOf(typings)
	if (hash === border.DECLARATIONS_HASH) return undefined
	return `The border has changed since its version ${border.BORDER_VERSION}. If a package with that version is published, raise
BORDER_VERSION in lib/addon/border.js and in src/node/mod.rs. Then set DECLARATIONS_HASH to '${hash}'.`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(ADDONS)
	for (const name of names) {
		const typings = makeTypings(ADDONS[name])
		writeFileSync(ADDONS[name].typingsFile, typings)
		console.log(ADDONS[name].typingsFile)
		const problem = name === 'core' ? borderProblem(typings) : undefined
		if (problem) console.log(`\n${problem}`)
	}
}
