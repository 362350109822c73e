// What is committed of a run: its numbers in a compact form, and the pictures and tables that are
// made from these numbers and from nothing else.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { picturesOf } from './pictures.mjs'
import { sectionsOf } from './tables.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const DATA = 'docs/benchmark.json'
const PAGES = ['README.md', 'docs/performance.md']
const DIGITS = 4

/** The details of single rounds: they stay in the raw data. */
const OMITTED = ['cells', 'rounds', 'times', 'tookSeconds']

const rounded = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS)))

export const compact = (value) => {
	if (typeof value === 'number') return Number.isFinite(value) ? rounded(value) : null
	if (Array.isArray(value)) return value.map(compact)
	if (typeof value !== 'object' || value === null) return value
	const kept = Object.entries(value).filter(
		([key, each]) => !(OMITTED.includes(key) && typeof each === 'object') && key !== 'tookSeconds',
	)
	return Object.fromEntries(kept.map(([key, each]) => [key, compact(each)]))
}

const markers = (name) => [`<!-- begin benchmark: ${name} -->`, `<!-- end benchmark: ${name} -->`]

/** A page with its marked sections replaced, and the rest as it is. */
export const filled = (page, sections) =>
	page.replace(
		/<!-- begin benchmark: ([\w-]+) -->\n[\s\S]*?<!-- end benchmark: \1 -->/g,
		(_, name) => {
			if (sections[name] === undefined) throw new Error(`there is no benchmark section '${name}'`)
			const [begin, end] = markers(name)
			return `${begin}\n\n${sections[name]}\n\n${end}`
		},
	)

const read = (path) => {
	const file = join(root, path)
	return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** { path: content } of every file that follows from the numbers. */
const rendered = async (data) => {
	const sections = sectionsOf(data)
	const pages = PAGES.map((path) => [path, filled(read(path), sections)])
	const pictures = Object.entries(await picturesOf(data)).map(([name, content]) => [
		`docs/pictures/${name}`,
		content,
	])
	return Object.fromEntries([...pages, ...pictures])
}

export const readPublished = () => JSON.parse(read(DATA))

/**
 * The committed files that are not those of the committed numbers. Each picture is drawn again and
 * compared as a whole, which is why vega and vega-lite are among the package's devDependencies. A
 * hash of the numbers, noted in each picture, would need neither, but it would still match after an
 * edit of a picture, or after a change of how pictures are drawn.
 */
export const outdated = async () =>
	Object.entries(await rendered(readPublished()))
		.filter(([path, content]) => read(path) !== content)
		.map(([path]) => path)

const write = (path, content) => {
	const file = join(root, path)
	mkdirSync(dirname(file), { recursive: true })
	writeFileSync(file, content)
	console.log(`wrote ${path}`)
}

export const render = async (data) => {
	for (const [path, content] of Object.entries(await rendered(data))) write(path, content)
}

/** One line per part of the run, so that a diff shows which part has changed. */
const lines = ({ parts, ...rest }) => {
	const own = (object) =>
		Object.entries(object).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`)
	return `{\n${own(rest).join(',\n')},\n"parts": {\n${own(parts).join(',\n')}\n}\n}\n`
}

export const publish = async (run) => {
	const data = compact(run)
	write(DATA, lines(data))
	await render(data)
}
