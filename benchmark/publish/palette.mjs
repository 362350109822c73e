// The colours of the pictures, in pairs: for a light page, and for a dark one.

/** Colours that are not of a series. */
export const pairs = {
	background: ['#ffffff', '#0d1117'],
	text: ['#1f2328', '#e6edf3'],
	muted: ['#59636e', '#9198a1'],
	grid: ['#d1d9e0', '#3d444d'],
}

/** Colours of the series. labels.mjs says which contestant has which one. */
export const seriesPairs = [
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

/** Vega draws with the colours of the light page. render-svg.mjs adds those of the dark page. */
export const colours = Object.fromEntries(
	Object.entries(pairs).map(([name, [light]]) => [name, light]),
)
export const seriesColours = seriesPairs.map(([light]) => light)
