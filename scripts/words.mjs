// Finds words that the project's texts do not use, in comments, names, messages and pages. A
// process, a thread, a caller or a program is "it", and a sentence names what it is about: see
// CONTRIBUTING.md. `npm run check` runs this; `node scripts/words.mjs` does so alone.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

const SEARCHED = [
	'src',
	'lib',
	'bin',
	'index.d.ts',
	'docs',
	'tests',
	'model',
	'etcd',
	'__test__',
	'examples',
	'scripts',
	'playground',
	'benchmark',
	'npm',
	'npm-cli',
	'.github',
	'.ci',
	'README.md',
	'ARCHITECTURE.md',
	'CONTRIBUTING.md',
	'RELEASING.md',
	'CHANGELOG.md',
]

const EXTENSIONS = ['.rs', '.c', '.js', '.cjs', '.mjs', '.ts', '.mts', '.md', '.py', '.yml']

/** The files that quote the words. */
const EXEMPT_FILES = ['scripts/words.mjs', '__test__/words.test.mjs']

/** What else is meant by one of the words: the user without rights that systems call `nobody`. */
const EXEMPT = [/`nobody`/g, /\bNOBODY\b/g]

const FORBIDDEN = [
	'he',
	'him',
	'his',
	'himself',
	'whoever',
	'whomever',
	'somebody',
	'someone',
	'nobody',
	'anybody',
	'everybody',
	'oneself',
]
const WORDS = new RegExp(`\\b(?:${FORBIDDEN.join('|')})\\b`, 'gi')

/** "the same" without the noun that says what is the same. */
const SAME_BEFORE_PUNCTUATION = /\bthe same(?=\s*(?:[.,;:!?)]|$))/gi
const SAME_BEFORE_A_CLAUSE = /\bthe same(?= (?:for|from|goes|holds|applies)\b)/gi
const SAME_AT_THE_START =
	/(?:^|[.!?] )The same(?= (?:about|and|as|at|but|by|if|in|is|of|on|to|under|with|without)\b)/g

/** A line without the marks around a comment, and with the words of its names apart. */
const wordsOf = (line) =>
	EXEMPT.reduce((rest, exempt) => rest.replace(exempt, ''), line)
		.replace(/^\s*(?:\/\/[/!]?|\/?\*+(?!\*)|#+|[-|])?\s*/, '')
		.replace(/_/g, ' ')
		.replace(/([a-z])([A-Z])/g, '$1 $2')

/** The forbidden words of a text: `[{ line, found }]`, with lines counted from 1. */
export const findings = (text) => {
	const lines = text.split('\n').map(wordsOf)
	return lines.flatMap((line, index) => {
		// What a line ends with may go on in the next one.
		const next = lines[index + 1]?.split(' ')[0] ?? ''
		const goesOn = /\bthe same$/i.test(line) ? `${line} ${next}`.trimEnd() : line
		const found = [
			...line.matchAll(WORDS),
			...goesOn.matchAll(SAME_BEFORE_PUNCTUATION),
			...goesOn.matchAll(SAME_BEFORE_A_CLAUSE),
			...goesOn.matchAll(SAME_AT_THE_START),
		]
		return found.map(([match]) => ({ line: index + 1, found: match.replace(/^[.!?] /, '') }))
	})
}

const filesIn = (path) => {
	const full = join(root, path)
	if (!statSync(full).isDirectory()) return [path]
	return readdirSync(full)
		.filter((name) => name !== 'node_modules')
		.sort()
		.flatMap((name) => filesIn(`${path}/${name}`))
}

/** Every forbidden word of the project, as `file:line: word`. */
export const forbiddenWords = () =>
	SEARCHED.flatMap(filesIn)
		.filter((file) => EXTENSIONS.includes(extname(file)) && !EXEMPT_FILES.includes(file))
		.flatMap((file) =>
			findings(readFileSync(join(root, file), 'utf8')).map(
				({ line, found }) => `${file}:${line}: ${found}`,
			),
		)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const found = forbiddenWords()
	for (const each of found) console.log(each)
	if (found.length > 0) process.exit(1)
}
