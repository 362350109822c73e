// Makes one file of lib/: index.js beside package.json, and its source map. Whatever happens to the
// package's folder once that file is loaded, no call needs anything from there.

import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const entry = join(root, 'lib', 'index.js')

/** Of package.json only what lib/ asks for: the rest would be read by every process. */
const packageFacts = {
	name: 'package-facts',
	setup: ({ onLoad }) => {
		onLoad({ filter: /[\\/]package\.json$/ }, ({ path }) => {
			const { name, version } = JSON.parse(readFileSync(path, 'utf8'))
			return { contents: JSON.stringify({ name, version }), loader: 'json' }
		})
	},
}

/**
 * The exports, where Node's lexer finds them. It reads which names an ES module can import from the
 * text of a CommonJS file, and does not follow esbuild's wrapper around a module. The line does nothing.
 */
const exportsForLexer = () => {
	const found = /^module\.exports = \{\n([\s\S]*?)^\}$/m.exec(readFileSync(entry, 'utf8'))
	const names = found?.[1].match(/(?<=^\t(?:get )?)\w+(?=,$|\(\))/gm)
	if (!names) throw new Error('lib/index.js has no `module.exports = { names }`')
	return `0 && (module.exports = { ${names.join(', ')} });`
}

/** The files as lib/ has them now: the text of each by its path. */
export const makeBundle = async () => {
	// Imported here, because scripts/setup.mjs imports this module before it has installed esbuild.
	const { build } = await import('esbuild')
	const { outputFiles } = await build({
		// Not lib/index.js itself: its names would be those of the whole file, and esbuild would rename the
		// functions that have them.
		stdin: { contents: "module.exports = require('./lib/index.js')", resolveDir: root },
		outfile: join(root, 'index.js'),
		bundle: true,
		write: false,
		platform: 'node',
		format: 'cjs',
		// What `engines` in package.json promises.
		target: 'node18',
		// The engine scans the whole file before it runs the first line, and each process that loads the package waits
		// for that. Names stay, for stack traces: shorter ones would save a tenth of the load. They also would
		// make esbuild write each module as an arrow function, which takes the engine longer to scan.
		minifyWhitespace: true,
		minifySyntax: true,
		// Lines that an editor can show, and in which a stack trace points somewhere.
		lineLimit: 160,
		// With the sources in it: the npm package has no lib/.
		sourcemap: 'linked',
		plugins: [packageFacts],
		banner: { js: '// Made by scripts/bundle.mjs from lib/. Changes by hand are overwritten.' },
		footer: { js: exportsForLexer() },
		logLevel: 'error',
		absWorkingDir: root,
	})
	return new Map(outputFiles.map(({ path, text }) => [path, text]))
}

/** Writes the files that are not there as they should be. */
export const bundle = async () => {
	for (const [path, text] of await makeBundle()) {
		if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
		// By renaming: a process that starts now reads the old file or the new one.
		writeFileSync(`${path}.new`, text)
		renameSync(`${path}.new`, path)
	}
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle()
