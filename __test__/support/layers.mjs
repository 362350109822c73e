// The layers of `lib/`: which module uses which, and which uses are against the order of the
// layers.

import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

/** From the lowest to the highest. A module uses modules of its own layer and of lower ones. */
export const LAYERS = [
	'clock',
	'context',
	'errors',
	'addon',
	'codec',
	'options',
	'locking',
	'api',
	'index',
]

/** The source of each module of a folder, by its path in the folder: `codec/content.js`. */
export const modulesIn = (dir, folder = '') =>
	Object.fromEntries(
		readdirSync(posix.join(dir, folder), { withFileTypes: true }).flatMap((entry) => {
			const path = posix.join(folder, entry.name)
			if (entry.isDirectory()) return Object.entries(modulesIn(dir, path))
			return [[path, readFileSync(posix.join(dir, path), 'utf8')]]
		}),
	)

/**
 * The module paths that a source requires, relative to the folder; `..` for those outside of it.
 */
const requiredBy = (path, source) =>
	[...source.matchAll(/\brequire\(\s*(['"`])(\.[^'"`]*)\1\s*\)/g)].map(([, , name]) =>
		posix.join(posix.dirname(path), name),
	)

const layerOf = (path) => LAYERS.indexOf(path.split('/')[0].replace(/\.js$/, ''))

/**
 * The first cycle that is found from a module on, as the paths on it; undefined if there is none.
 */
const cycleFrom = (path, uses, trail = [], done = new Set()) => {
	if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
	if (done.has(path)) return undefined
	for (const used of uses[path] ?? []) {
		const cycle = cycleFrom(used, uses, [...trail, path], done)
		if (cycle) return cycle
	}
	done.add(path)
	return undefined
}

/** What is against the layers in modules, given by path and source: one sentence each. */
export const violations = (modules) => {
	const uses = Object.fromEntries(
		Object.entries(modules).map(([path, source]) => [path, requiredBy(path, source)]),
	)
	const edges = Object.entries(uses).flatMap(([path, used]) => used.map((each) => [path, each]))
	const cycles = Object.keys(uses).map((path) => cycleFrom(path, uses))
	return [
		...Object.keys(modules)
			.filter((path) => layerOf(path) < 0)
			.map((path) => `${path} is in no layer`),
		...edges
			.filter(([, used]) => !(used in modules) && used !== '../package.json')
			.map(([path, used]) => `${path} uses ${used}, which is not a module of lib`),
		...edges
			.filter(([path, used]) => used in modules && layerOf(used) > layerOf(path))
			.map(([path, used]) => `${path} uses ${used}, which is in a higher layer`),
		...new Set(
			cycles
				.filter((cycle) => cycle !== undefined)
				.map((cycle) => [...new Set(cycle)].sort().join(', '))
				.map((paths) => `these modules use each other: ${paths}`),
		),
	]
}
