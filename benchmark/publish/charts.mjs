// Two kinds of chart, as Vega-Lite specifications: ranges in rows, and lines. Both have logarithmic
// axes. A logarithmic axis has no zero at which a bar could begin, so each value is a point.

import { colours } from './palette.mjs'

const WIDTH = 470
const ROW_HEIGHT = 22
const LINES_HEIGHT = 300
/** The area of a mark, in square pixels. */
const MARK_AREA = 60
const LABEL_DISTANCE = 9
/** Room for numbers beside the marks, at each end of an axis: a part of the axis. */
const MARGIN = 0.12
/** An axis from one value to less than this many times the value has lines between powers of ten. */
const SHORT_AXIS = 300

const config = {
	aria: false,
	background: colours.background,
	font: 'system-ui, sans-serif',
	padding: 12,
	view: { stroke: null },
	title: {
		...{ anchor: 'start', frame: 'bounds', offset: 14 },
		...{ color: colours.text, fontSize: 15, fontWeight: 600 },
		...{ subtitleColor: colours.muted, subtitleFontSize: 12, subtitlePadding: 6 },
	},
	axis: {
		...{ domain: false, ticks: false, tickRound: false, gridColor: colours.grid },
		...{ labelColor: colours.text, labelFontSize: 12, labelLimit: 0, labelPadding: 8 },
		...{ labelFlush: false, labelOverlap: false },
		...{ titleColor: colours.muted, titleFontSize: 12, titleFontWeight: 'normal' },
	},
	legend: {
		...{ labelColor: colours.text, labelFontSize: 12, labelLimit: 0, rowPadding: 6 },
		...{ symbolSize: MARK_AREA, symbolOpacity: 1 },
	},
	point: { filled: true, opacity: 1, size: MARK_AREA },
	text: { color: colours.text, fontSize: 12, baseline: 'middle' },
	line: { strokeJoin: 'round', strokeWidth: 2 },
	errorbar: { ticks: { size: 9 } },
}

const chart = (title, lines, content) => ({
	$schema: 'https://vega.github.io/schema/vega-lite/v6.json',
	config,
	title: { text: title, subtitle: lines },
	...content,
})

const isPlottable = (value) => Number.isFinite(value) && value > 0

/** A Vega expression: three digits, and thousands and millions as in 12.3k and 1.23M. */
const shortNumber = (value) => `format(${value}, ${value} >= 10000 ? '.3~s' : '.3~r')`

/**
 * An axis a little longer than its values, with a line at each power of ten. A short axis also has lines
 * at twice and at five times each power.
 */
const logarithmic = (values, unit) => {
	const plotted = values.filter(isPlottable)
	const [least, most] = [Math.min(...plotted), Math.max(...plotted)]
	const margin = Math.max((most / least) ** MARGIN, 1.1)
	const [from, to] = [least / margin, most * margin]
	const first = Math.floor(Math.log10(from))
	const exponents = Array.from({ length: Math.ceil(Math.log10(to)) - first }, (_, n) => first + n)
	const steps = to / from < SHORT_AXIS ? [1, 2, 5] : [1]
	const lines = exponents.flatMap((exponent) => steps.map((step) => Number(`${step}e${exponent}`)))
	return {
		type: 'quantitative',
		scale: { type: 'log', domain: [from, to], nice: false },
		axis: {
			values: lines.filter((line) => line >= from && line <= to),
			title: unit,
			labelExpr: shortNumber('datum.value'),
		},
	}
}

/** The number of a field, beside the mark at a position. */
const numberOf = (field, align, x) => ({
	transform: [{ calculate: shortNumber(`datum.${field}`), as: 'text' }],
	mark: { type: 'text', align, dx: align === 'left' ? LABEL_DISTANCE : -LABEL_DISTANCE },
	encoding: { x, text: { field: 'text' }, color: { value: colours.text } },
})

/** The range of a row around its value: a line with an end mark at `low` and at `high`. */
export const whiskers = (x) => [
	{ mark: 'errorbar', encoding: { x: x('low'), x2: { field: 'high' } } },
	{ mark: 'point', encoding: { x: x('value') } },
	numberOf('value', 'left', x('high')),
]

/** The range of a row below its value: a line from a hollow mark at `low`, which has a number too. */
export const lineFromLow = (x) => [
	{ mark: 'rule', encoding: { x: x('low'), x2: { field: 'value' } } },
	{
		mark: { type: 'point', filled: false, fill: colours.background },
		encoding: { x: x('low') },
	},
	{ mark: 'point', encoding: { x: x('value') } },
	numberOf('low', 'right', x('low')),
	numberOf('value', 'left', x('value')),
]

const none = {
	mark: { type: 'text', align: 'left', color: colours.muted },
	encoding: { x: { value: LABEL_DISTANCE }, text: { value: 'none' } },
}

const groupOfRows = ({ name, rows }, marks) => ({
	title: { text: name, color: colours.muted, fontSize: 12, fontWeight: 'normal', offset: 6 },
	...{ width: WIDTH, height: { step: ROW_HEIGHT } },
	data: { values: rows },
	encoding: {
		y: {
			...{ field: 'label', type: 'nominal' },
			axis: { title: null, grid: true, gridDash: [1, 4] },
			scale: { domain: rows.map(({ label }) => label) },
		},
		color: { field: 'colour', type: 'nominal', scale: null },
	},
	layer: [
		{ transform: [{ filter: 'datum.value > 0' }], layer: marks },
		{ transform: [{ filter: '!(datum.value > 0)' }], layer: [none] },
	],
})

/**
 * Rows in groups, each with a value and its range. groups: [{ name, rows: [{ label, colour, value,
 * low, high }] }]. `range` is `whiskers` or `lineFromLow`. A row without a value says "none".
 */
export const rangeChart = ({ title, lines, unit, groups, range }) => {
	const values = groups.flatMap(({ rows }) => rows.flatMap((row) => [row.value, row.low, row.high]))
	const { axis, ...position } = logarithmic(values, unit)
	return chart(title, lines, {
		spacing: 12,
		vconcat: groups.map((group, n) => {
			const isLast = n === groups.length - 1
			const own = isLast ? axis : { ...axis, title: null, labels: false }
			return groupOfRows(
				group,
				range((field) => ({ field, ...position, axis: own })),
			)
		}),
		resolve: { scale: { x: 'shared', y: 'independent', color: 'independent' } },
	})
}

/**
 * Lines with a mark at each point. series: [{ name, colour, shape, points: [{ x, y, low, high }] }],
 * where a point may have no range.
 */
export const lineChart = ({ title, lines, across, upward, series }) => {
	const points = series.flatMap(({ name, points }) =>
		points.filter(({ y }) => isPlottable(y)).map((point) => ({ series: name, ...point })),
	)
	const xs = [...new Set(points.map(({ x }) => x))].sort((one, other) => one - other)
	const position = logarithmic(
		points.flatMap((point) => [point.y, point.low, point.high]),
		upward,
	)
	const y = (field) => ({ field, ...position })
	const domain = series.map(({ name }) => name)
	const bySeries = { field: 'series', type: 'nominal', title: null }
	return chart(title, lines, {
		...{ width: WIDTH, height: LINES_HEIGHT },
		data: { values: points },
		encoding: {
			x: {
				...{ field: 'x', type: 'quantitative' },
				scale: { type: 'log', domain: [xs[0], xs.at(-1)], nice: false, padding: 14 },
				axis: { values: xs, title: across, grid: false, labelExpr: shortNumber('datum.value') },
			},
			color: { ...bySeries, scale: { domain, range: series.map(({ colour }) => colour) } },
		},
		layer: [
			{
				transform: [{ filter: 'isValid(datum.low)' }],
				mark: 'errorbar',
				encoding: { y: y('low'), y2: { field: 'high' } },
			},
			{ mark: 'line', encoding: { y: y('y') } },
			{
				mark: 'point',
				encoding: {
					y: y('y'),
					shape: { ...bySeries, scale: { domain, range: series.map(({ shape }) => shape) } },
				},
			},
		],
	})
}
