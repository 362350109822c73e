// Two kinds of picture, written as text: bars with their spread, and lines. The same numbers give
// the same bytes, so that a check can tell whether a picture is of these numbers.

const WIDTH = 760
const LEFT = 210
const RIGHT = 190
const TOP = 44
const BOTTOM = 46
const ROW = 22

/** For light and for dark pages: the browser chooses. */
const COLOURS = [
	['#57606a', '#8b949e'],
	['#0550ae', '#79c0ff'],
	['#0a7ea4', '#39c5cf'],
	['#1a7f37', '#56d364'],
	['#6639ba', '#d2a8ff'],
	['#bc4c00', '#ffa657'],
	['#bf3989', '#ff9bce'],
	['#9a6700', '#e3b341'],
	['#a40e26', '#ff7b72'],
]

const rules = (index) =>
	COLOURS.map((pair, n) => `.c${n}{fill:${pair[index]};stroke:${pair[index]}}`).join('')

const STYLE = `<style>
text{font:12px system-ui,sans-serif;fill:#1f2328}.head{font-size:14px;font-weight:600}
.soft{fill:#59636e}.grid{stroke:#d1d9e0;fill:none}.whisker{stroke:#1f2328;fill:none}
.line{fill:none;stroke-width:2}${rules(0)}
.line.line{fill:none}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.soft{fill:#9198a1}
.grid{stroke:#3d444d}.whisker{stroke:#e6edf3}${rules(1)}.line.line{fill:none}}
</style>`

const escaped = (text) =>
	String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const at = (number) => String(Math.round(number * 10) / 10)

const text = (x, y, content, { anchor = 'start', role = '' } = {}) =>
	`<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}"${role && ` class="${role}"`}>${escaped(content)}</text>`

const line = (x1, y1, x2, y2, role) =>
	`<path class="${role}" d="M${at(x1)} ${at(y1)}L${at(x2)} ${at(y2)}"/>`

const picture = ({ title, description, height }, content) =>
	[
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${at(height)}" role="img" aria-labelledby="title description">`,
		`<title id="title">${escaped(title)}</title>`,
		`<desc id="description">${escaped(description)}</desc>`,
		STYLE,
		text(10, 22, title, { role: 'head' }),
		...content,
		'</svg>',
		'',
	].join('\n')

/** 1,200,000 as 1.2M. */
export const short = (value) => {
	if (value >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`
	if (value >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`
	return String(Number(value.toPrecision(3)))
}

const isDrawn = (value) => Number.isFinite(value) && value > 0

/** A logarithmic axis that begins and ends with a power of ten. */
const logScale = (values, from, to) => {
	const drawn = values.filter(isDrawn)
	const first = Math.floor(Math.log10(Math.min(...drawn)) + 1e-9)
	const last = Math.max(Math.ceil(Math.log10(Math.max(...drawn)) - 1e-9), first + 1)
	const place = (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from)
	const ticks = Array.from({ length: last - first + 1 }, (_, n) => 10 ** (first + n))
	return { place, ticks }
}

const rowsOf = (groups) => {
	let y = TOP
	return groups.map(({ name, bars }) => {
		const top = y
		const rows = bars.map((bar, n) => ({ ...bar, y: top + ROW * (n + 1) }))
		y += ROW * (bars.length + 1) + 8
		return { name, y: top, rows }
	})
}

const bar = ({ label, value, low, high, colour, y }, place) => {
	const parts = [text(LEFT - 8, y + 13, label, { anchor: 'end' })]
	if (!isDrawn(value)) return [...parts, text(LEFT + 6, y + 13, 'none', { role: 'soft' })]
	const width = Math.max(place(value) - LEFT, 1)
	const rest = `y="${at(y + 3)}" width="${at(width)}" height="${ROW - 8}"`
	parts.push(`<rect class="c${colour}" fill-opacity=".75" x="${LEFT}" ${rest}/>`)
	const ends = [low, high].map((end) => (isDrawn(end) ? place(end) : place(value)))
	if (ends[1] - ends[0] > 1) parts.push(line(ends[0], y + 10, ends[1], y + 10, 'whisker'))
	return [...parts, text(Math.max(ends[1], place(value)) + 6, y + 13, short(value))]
}

/**
 * Horizontal bars in groups, on a logarithmic axis. groups: [{ name, bars: [{ label, value, low,
 * high, colour }] }], where low and high are the ends of the spread.
 */
export const barPicture = ({ title, description, unit, groups }) => {
	const laid = rowsOf(groups)
	const bottom = Math.max(...laid.flatMap(({ rows }) => rows.map(({ y }) => y))) + ROW
	const values = groups.flatMap(({ bars }) => bars.flatMap((b) => [b.value, b.low, b.high]))
	const { place, ticks } = logScale(values, LEFT, WIDTH - 70)
	const axis = ticks.flatMap((tick) => [
		line(place(tick), TOP, place(tick), bottom, 'grid'),
		text(place(tick), bottom + 16, short(tick), { anchor: 'middle', role: 'soft' }),
	])
	const caption = text(WIDTH - 70, bottom + 34, unit, { anchor: 'end', role: 'soft' })
	const bars = laid.flatMap(({ name, y, rows }) => [
		text(10, y + 14, name, { role: 'soft' }),
		...rows.flatMap((row) => bar(row, place)),
	])
	return picture({ title, description, height: bottom + BOTTOM }, [...axis, ...bars, caption])
}

const HEIGHT = 380

/** Lines with a mark at each point, both axes logarithmic. series: [{ name, colour, points }]. */
export const linePicture = ({ title, description, across, upward, series }) => {
	const drawn = series.map((each) => ({
		...each,
		points: each.points.filter(([, y]) => isDrawn(y)),
	}))
	const points = drawn.flatMap((each) => each.points)
	const [left, right, bottom] = [60, WIDTH - RIGHT, HEIGHT - BOTTOM]
	const xs = [...new Set(points.map(([x]) => x))].sort((a, b) => a - b)
	const span = Math.log(xs.at(-1) / xs[0]) || 1
	const x = (value) => left + 10 + (Math.log(value / xs[0]) / span) * (right - left - 20)
	const { place: y, ticks } = logScale(
		points.map(([, value]) => value),
		bottom,
		TOP + 14,
	)
	const axes = [
		...ticks.flatMap((tick) => [
			line(left, y(tick), right, y(tick), 'grid'),
			text(left - 6, y(tick) + 4, short(tick), { anchor: 'end', role: 'soft' }),
		]),
		...xs.map((value) =>
			text(x(value), bottom + 18, short(value), { anchor: 'middle', role: 'soft' }),
		),
		text(right, bottom + 36, across, { anchor: 'end', role: 'soft' }),
		text(10, TOP - 2, upward, { role: 'soft' }),
	]
	const lines = drawn.flatMap(({ name, colour, points: own }, n) => [
		`<path class="line c${colour}" d="M${own.map(([at0, at1]) => `${at(x(at0))} ${at(y(at1))}`).join('L')}"/>`,
		...own.map(
			([at0, at1]) => `<circle class="c${colour}" cx="${at(x(at0))}" cy="${at(y(at1))}" r="3"/>`,
		),
		line(right + 14, TOP + 20 + n * 20, right + 34, TOP + 20 + n * 20, `line c${colour}`),
		text(right + 40, TOP + 24 + n * 20, name),
	])
	return picture({ title, description, height: HEIGHT }, [...axes, ...lines])
}
