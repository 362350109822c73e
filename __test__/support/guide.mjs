// The code of docs/how-to/adopting-in-argus.md, taken out of it, compiled by tsc as argus would,
// and put where its imports find each other and this package.

import {
	chmodSync,
	copyFileSync,
	mkdirSync,
	mkdtempSync,
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
const root = join(here, '..', '..')

/** The TypeScript blocks of a text, by the name in their first line. */
export const blocksOf = (text) =>
	[...text.matchAll(/^```ts\b.*\n([\s\S]*?)^```$/gm)].map(([, code]) => {
		const name = /^\/\/ (packages\/\S+\.ts)\n/.exec(code)?.[1]
		if (!name) throw new Error(`a block of TypeScript names no file: ${code.slice(0, 60)}`)
		return { name, code }
	})

/** What argus has already, and its callers, by the path of each in argus. */
const others = {
	'packages/argus-core/src/registry/types.ts': 'types.ts',
	'packages/argus-core/src/registry/paths.ts': 'paths.ts',
	'packages/argus-core/src/index.ts': 'index.ts',
	'packages/argus-watcher/src/callers.ts': 'callers.ts',
}

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

const compile = (files) => {
	const program = ts.createProgram(files, options)
	const { diagnostics } = program.emit()
	return [...ts.getPreEmitDiagnostics(program), ...diagnostics].map((diagnostic) =>
		ts.formatDiagnostic(diagnostic, {
			getCanonicalFileName: (name) => name,
			getCurrentDirectory: ts.sys.getCurrentDirectory,
			getNewLine: () => '\n',
		}),
	)
}

/** Compiles a guide; `problems` are what tsc reports. */
export const build = (text) => {
	const dir = realpathSync(mkdtempSync(join(tmpdir(), 'argus-registry-guide-')))
	// A user without privileges may have to read it.
	chmodSync(dir, 0o755)
	const put = (name, content) => {
		mkdirSync(dirname(join(dir, name)), { recursive: true })
		writeFileSync(join(dir, name), content)
	}
	const blocks = blocksOf(text)
	for (const { name, code } of blocks) put(name, code)
	for (const [name, file] of Object.entries(others)) {
		mkdirSync(dirname(join(dir, name)), { recursive: true })
		copyFileSync(join(here, 'argus', file), join(dir, name))
	}
	const manifest = (name) => ({
		name: `@vforsh/${name}`,
		type: 'module',
		exports: { '.': { types: './src/index.ts', default: './src/index.js' } },
	})
	for (const name of ['argus-core', 'argus-watcher']) {
		put(`packages/${name}/package.json`, JSON.stringify(manifest(name)))
	}
	const link = (target, name) => {
		mkdirSync(dirname(join(dir, 'node_modules', name)), { recursive: true })
		symlinkSync(target, join(dir, 'node_modules', name), 'junction')
	}
	link(root, 'argus-registry')
	link(join(dir, 'packages', 'argus-core'), '@vforsh/argus-core')
	const names = [...blocks.map(({ name }) => name), ...Object.keys(others)]
	const problems = compile(names.map((name) => join(dir, name)))
	return { dir, names, problems, remove: () => rmSync(dir, { recursive: true, force: true }) }
}

export const guideText = () =>
	readFileSync(join(root, 'docs', 'how-to', 'adopting-in-argus.md'), 'utf8')
