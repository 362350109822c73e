// What is committed of a run: its numbers in a compact form, and the pictures and tables that are
// made from those, and from nothing else.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { picturesOf } from './pictures.mjs'
import { sectionsOf } from './tables.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const DATA = 'docs/benchmark.json'
const PAGES = ['README.md', 'docs/performance.md']
const DIGITS = 4

/** What only matters to whoever looks into one round: it stays in the raw data. */
const LEFT_OUT = ['cells', 'rounds', 'times', 'tookSeconds']

const rounded = (value) => (Number.isInteger(value) ? value : Number(value.toPrecision(DIGITS)))

export const compact = (value) => {
	if (typeof value === 'number') return Number.isFinite(value) ? rounded(value) : null
	if (Array.isArray(value)) return value.map(compact)
	if (typeof value !== 'object' || value === null) return value
	const kept = Object.entries(value).filter(
		([key, each]) => !(LEFT_OUT.includes(key) && typeof each === 'object') && key !== 'tookSeconds',
	)
	return Object.fromEntries(kept.map(([key, each]) => [key, compact(each)]))
}

const marks = (name) => [`<!-- begin benchmark: ${name} -->`, `<!-- end benchmark: ${name} -->`]

/** A page with its marked sections made anew; the rest as it is. */
export const filled = (page, sections) =>
	page.replace(
		/<!-- begin benchmark: ([\w-]+) -->\n[\s\S]*?<!-- end benchmark: \1 -->/g,
		(_, name) => {
			if (sections[name] === undefined) throw new Error(`there is no benchmark section '${name}'`)
			const [begin, end] = marks(name)
			return `${begin}\n\n${sections[name]}\n\n${end}`
		},
	)

const read = (path) => {
	const file = join(root, path)
	return existsSync(file) ? readFileSync(file, 'utf8') : undefined
}

/** { path: content } of all that follows from the numbers. */
const rendered = (data) => {
	const sections = sectionsOf(data)
	const pages = PAGES.map((path) => [path, filled(read(path), sections)])
	const pictures = Object.entries(picturesOf(data)).map(([name, content]) => [
		`docs/pictures/${name}`,
		content,
	])
	return Object.fromEntries([...pages, ...pictures])
}

export const readPublished = () => JSON.parse(read(DATA))

/** Which committed files are not of the committed numbers. */
export const outdated = () =>
	Object.entries(rendered(readPublished()))
		.filter(([path, content]) => read(path) !== content)
		.map(([path]) => path)

const write = (path, content) => {
	const file = join(root, path)
	mkdirSync(dirname(file), { recursive: true })
	writeFileSync(file, content)
	console.log(`wrote ${path}`)
}

export const render = (data) => {
	for (const [path, content] of Object.entries(rendered(data))) write(path, content)
}

/** One line per part, so that a diff says which has changed. */
const lines = ({ parts, ...rest }) => {
	const own = (object) =>
		Object.entries(object).map(([key, value]) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`)
	return `{\n${own(rest).join(',\n')},\n"parts": {\n${own(parts).join(',\n')}\n}\n}\n`
}

export const publish = (all) => {
	const data = compact(all)
	write(DATA, lines(data))
	render(data)
}
