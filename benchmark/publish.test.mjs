// The pages and pictures that are made from the numbers. The tests read the marks back from the SVG.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineChart, rangeChart, whiskers } from './publish/charts.mjs'
import { colourOf, nameOf } from './publish/labels.mjs'
import { pairs, seriesPairs } from './publish/palette.mjs'
import { picturesOf } from './publish/pictures.mjs'
import { compact, filled, readPublished } from './publish/publish.mjs'
import { renderSvg } from './publish/render-svg.mjs'

const drawRange = (rows) =>
	renderSvg(
		rangeChart({
			...{ title: 'A <b>', lines: ['D', 'E & F'], unit: 'u', range: whiskers },
			groups: [{ name: 'g', rows }],
		}),
	)

const rows = [
	{ label: 'a & b', value: 1_500, low: 1_000, high: 2_000, colour: '#0550ae' },
	{ label: '<none>', value: null, colour: '#0a7ea4' },
]

test('a picture: equal for equal numbers, opaque, for dark pages, with a title and a description', async () => {
	const picture = await drawRange(rows)
	assert.equal(picture, await drawRange(rows))
	assert.match(
		picture,
		/<title id="title">A &lt;b&gt;<\/title>\n<desc id="description">D E &amp; F<\/desc>/,
	)
	assert.match(picture, /<rect width="\d+" height="\d+" fill="#ffffff"\/>/)
	assert.match(picture, /prefers-color-scheme:dark/)
	assert.match(picture, />a &amp; b</)
	assert.match(picture, />none</)
	assert.doesNotMatch(picture, /NaN|undefined|<none>/)
	assert.equal(marks(picture, 'rule').length, 1)
	const lines = await renderSvg(
		lineChart({
			...{ title: 'T', lines: ['D'], across: 'x', upward: 'y' },
			series: [
				{
					...{ name: 'one', colour: '#0550ae', shape: 'circle' },
					points: [
						{ x: 1, y: 5 },
						{ x: 10, y: null },
						{ x: 100, y: 50 },
					],
				},
				{ name: 'nothing', colour: '#0a7ea4', shape: 'square', points: [] },
			],
		}),
	)
	assert.equal(marks(lines, 'symbol').length, 2)
	assert.doesNotMatch(lines, /NaN|undefined/)
})

test('numbers in pictures are short', async () => {
	const values = [0.0123, 9_876, 12_345, 1_234_567]
	const picture = await drawRange(
		values.map((value) => ({
			...{ label: `row ${value}`, value, low: value, high: value, colour: '#0550ae' },
		})),
	)
	assert.deepEqual(
		marks(picture, 'text').map(({ text }) => text),
		['0.0123', '9880', '12.3k', '1.23M'],
	)
})

test('each colour of a published picture has a counterpart for dark pages', async () => {
	const known = [...Object.values(pairs), ...seriesPairs].map(([light]) => light)
	for (const picture of Object.values(await picturesOf(readPublished()))) {
		for (const [, colour] of picture.matchAll(/ (?:fill|stroke)="([^"]+)"/g)) {
			assert.ok(['none', ...known].includes(colour), colour)
		}
	}
})

/** The lines within each innermost <g> whose class contains `name`. */
const groups = (svg, name) =>
	[...svg.matchAll(/<g class="([^"]*)"[^>]*>\n((?:(?!<g)[\s\S])*?)\n<\/g>/g)]
		.filter(([, names]) => names.includes(name))
		.map(([, , content]) => content.split('\n'))

const attribute = (element, name) => Number(new RegExp(` ${name}="([^"]*)"`).exec(element)?.[1])

const parsed = (element) => {
	const [, x, y] = /transform="translate\(([-\d.]+),([-\d.]+)\)"/.exec(element) ?? []
	return {
		...{ x: Number(x), y: Number(y) },
		...{ x2: attribute(element, 'x2'), y2: attribute(element, 'y2') },
		colour: / (?:fill|stroke)="(#\w+)"/.exec(element)?.[1],
		text: />([^<]*)<\/text>/.exec(element)?.[1],
	}
}

/** The marks of a kind (`symbol`, `rule`, `text`), a list for each layer. */
const layers = (svg, kind) =>
	groups(svg, `mark-${kind} role-mark`).map((elements) => elements.map(parsed))

const marks = (svg, kind) => layers(svg, kind).flat()

const labels = (svg, isOf) => groups(svg, 'role-axis-label').flat().map(parsed).filter(isOf)
const gridLines = (svg, isOf) => groups(svg, 'role-axis-grid').flat().map(parsed).filter(isOf)

const numberIn = (text) => {
	const [, digits, unit] = /^([\d.]+)([kM]?)$/.exec(text)
	return Number(digits) * { '': 1, k: 1e3, M: 1e6 }[unit]
}

/** From a position along a logarithmic axis to a value, by the first and last line of the axis. */
const axis = (positions, texts) => {
	const [first, last] = [0, positions.length - 1]
	const [from, to] = [numberIn(texts[first].text), numberIn(texts[last].text)]
	return (at) =>
		from * (to / from) ** ((at - positions[first]) / (positions[last] - positions[first]))
}

const assertClose = (found, expected, what, tolerance = 0.001) =>
	assert.ok(Math.abs(found / expected - 1) < tolerance, `${what}: ${found} is not ${expected}`)

const onDisk = (data, part, durable) =>
	data.parts[part].results.filter((each) => each.place === 'disk' && each.durable === durable)

/** One of the groups of rows, top to bottom. */
const readRows = (svg, n) => {
	const own = svg.split(/<g class="mark-group role-scope concat_\d_group"/)[n + 1]
	const vertical = labels(svg, ({ x, y }) => x > 0 && y < 30)
	const lines = gridLines(own, ({ y2 }) => y2 !== 0)
	const valueAt = axis(
		lines.map(({ x }) => x),
		vertical,
	)
	const names = labels(own, ({ x }) => x < 0).map(({ text }) => text)
	const symbols = layers(own, 'symbol')
	const rules = marks(own, 'rule')
	const texts = layers(own, 'text')
	return names.map((name, row) => ({
		name,
		/** The marks of this row: those of the last layer are filled, those before are hollow. */
		symbols: symbols.map((layer) => valueAt(layer[row].x)),
		range: [rules[row].x, rules[row].x + rules[row].x2].map(valueAt),
		numbers: texts.map((layer) => numberIn(layer[row].text)),
		colour: symbols.at(-1)[row].colour,
		isInRow: symbols.every((layer) => Math.abs(layer[row].y - 22 * (row + 0.5)) < 0.1),
	}))
}

const assertRows = (data, svg, part, expectedOf) => {
	for (const [n, durable] of [false, true].entries()) {
		const rows = readRows(svg, n)
		assert.ok(rows.length >= 7)
		for (const row of rows) {
			const what = `${part}, ${row.name}, ${durable ? 'durable' : 'not durable'}`
			const result = onDisk(data, part, durable).find(({ base }) => nameOf(base) === row.name)
			const expected = expectedOf(result)
			assert.ok(row.isInRow, what)
			assert.equal(row.colour, colourOf(result.base), what)
			for (const [at, value] of expected.symbols.entries()) {
				assertClose(row.symbols[at], value, what)
				// Of three digits.
				assertClose(row.numbers[at], value, what, 0.005)
			}
			for (const [at, end] of expected.range.entries()) assertClose(row.range[at], end, what)
		}
	}
}

test('the marks in rows are at the numbers of docs/benchmark.json', async () => {
	const data = readPublished()
	const pictures = await picturesOf(data)
	assertRows(data, pictures['one-process.svg'], 'one-process', (result) => ({
		...{ symbols: [result.opsPerSecond], range: [result.slowest, result.fastest] },
	}))
	assertRows(data, pictures['watchers.svg'], 'watchers', ({ p50, p99 }) => ({
		...{ symbols: [p50, p99], range: [p50, p99] },
	}))
})

const assertLines = (svg, seriesOf, bases) => {
	const across = labels(svg, ({ x }) => x > 0)
	const xAt = axis(
		across.map(({ x }) => x),
		across,
	)
	const yAt = axis(
		gridLines(svg, ({ x2 }) => x2 !== 0).map(({ y }) => y),
		labels(svg, ({ x }) => x < 0),
	)
	const byColour = (kind, colour) => marks(svg, kind).filter((mark) => mark.colour === colour)
	let found = 0
	for (const base of bases) {
		const expected = seriesOf(base)
		const points = byColour('symbol', colourOf(base))
		const ranges = byColour('rule', colourOf(base))
		assert.equal(points.length, expected.length, base)
		assert.equal(ranges.length, expected.filter(({ low }) => low).length, base)
		for (const [at, { x, y, low, high }] of expected.entries()) {
			const what = `${base} at ${x}`
			assertClose(xAt(points[at].x), x, what)
			assertClose(yAt(points[at].y), y, what)
			if (low) assertClose(yAt(ranges[at].y), low, what)
			if (low) assertClose(yAt(ranges[at].y + ranges[at].y2), high, what)
		}
		const path = groups(svg, 'mark-line role-mark')
			.flat()
			.find((element) => element.includes(`stroke="${colourOf(base)}"`))
		const corners = [...path.matchAll(/[ML\d]([\d.]+),([\d.]+)/g)].length
		assert.equal(corners, expected.length, base)
		found += points.length
	}
	assert.equal(marks(svg, 'symbol').length, found)
}

test('the marks on lines are at the numbers of docs/benchmark.json', async () => {
	const data = readPublished()
	const pictures = await picturesOf(data)
	const bases = [
		...['argus-sync', 'argus-async', 'argus-heartbeat', 'crate-update', 'older-argus'],
		...['proper-lockfile', 'sqlite', 'lmdb'],
	]
	const results = ['one-process', 'processes'].flatMap((part) => onDisk(data, part, false))
	const byProcesses = (numbers) => (base) =>
		results
			.filter((result) => result.base === base)
			.map((result) => ({ x: result.processes, ...numbers(result) }))
	assertLines(
		pictures['processes.svg'],
		byProcesses(({ opsPerSecond, slowest, fastest }) => ({
			...{ y: opsPerSecond, low: slowest, high: fastest },
		})),
		bases,
	)
	assertLines(
		pictures['worst-p99.svg'],
		byProcesses(({ worstP99 }) => ({ y: worstP99 })),
		bases,
	)
	const sizes = data.parts.sizes.sizes.filter(({ place }) => place === 'disk')
	assertLines(
		pictures['sizes.svg'],
		(base) => sizes.map(({ entries, medians }) => ({ x: entries, y: medians[base] })),
		['copy', ...bases.filter((base) => !['crate-update', 'proper-lockfile'].includes(base))],
	)
})

test('publishing replaces the marked sections of a page and keeps the rest', () => {
	const page = (text) =>
		`before\n<!-- begin benchmark: sizes -->\n${text}<!-- end benchmark: sizes -->\nafter\n`
	const once = filled(page(''), { sizes: 'NEW $1' })
	assert.equal(once, page('\nNEW $1\n\n'))
	assert.equal(filled(once, { sizes: 'NEW $1' }), once)
	assert.throws(() => filled(page(''), {}), /there is no benchmark section 'sizes'/)
})

test('published numbers are rounded, and without the single rounds', () => {
	const raw = { parts: { x: { cells: [1], results: [{ a: 1.23456, b: Number.NaN, rounds: 3 }] } } }
	assert.deepEqual(compact(raw), { parts: { x: { results: [{ a: 1.235, b: null, rounds: 3 }] } } })
})
