// From a Vega-Lite specification to the text of an SVG file. The text depends on the specification
// alone, so that `npm run check` can draw each picture again and compare it with the committed one.

import { parse, textMetrics, View } from 'vega'
import { compile } from 'vega-lite'
import { pairs, seriesPairs } from './palette.mjs'

// Vega measures text with the package `canvas` where one is installed in a folder above, and
// estimates its width otherwise. A measured width would move marks by the fonts of the machine.
textMetrics.canvas(false)

/** A warning of Vega's is a mistake in a specification, and no picture may be published with one. */
const failingLogger = {
	level: () => failingLogger,
	error: (...found) => {
		throw new Error(found.join(' '))
	},
	warn: (...found) => failingLogger.error(...found),
	info: () => failingLogger,
	debug: () => failingLogger,
}

/** Vega writes colours as attributes, which any rule of a style sheet outweighs. */
const darkRules = [...Object.values(pairs), ...seriesPairs]
	.flatMap(([light, dark]) =>
		['fill', 'stroke'].map((attribute) => `[${attribute}="${light}"]{${attribute}:${dark}}`),
	)
	.join('\n')
const style = `<style>@media (prefers-color-scheme:dark){\n${darkRules}\n}</style>`

const escaped = (text) =>
	text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/**
 * Positions to a hundredth of a pixel: the last digits of a logarithm may differ from one version
 * of the engine to the next, and `npm run check` would then report a picture as outdated.
 */
const rounded = (svg) =>
	svg.replace(/ (?:d|transform|[xy][12]?|width|height)="[^"]*"/g, (attribute) =>
		attribute.replace(/-?\d+\.\d{3,}(?:e-?\d+)?/g, (number) => String(+(+number).toFixed(2))),
	)

/** Without Vega's roles and labels of single elements: the whole picture has the role `img`. */
const asOneImage = (svg) => svg.replace(/ (?:role|aria-\w+)="[^"]*"/g, '')

/** One element a line, for readable diffs; not within a text, where a line break is a space. */
const inLines = (svg) => svg.replace(/><(?!\/?tspan|\/text)/g, '>\n<')

/** With a title and a description for a reader of text. */
const described = (svg, { text, subtitle }) =>
	svg
		.replace('<svg ', '<svg role="img" aria-labelledby="title description" ')
		.replace('>', () =>
			[
				'>',
				`<title id="title">${escaped(text)}</title>`,
				`<desc id="description">${escaped(subtitle.join(' '))}</desc>`,
				style,
			].join('\n'),
		)

/** Draws a Vega-Lite specification whose title is { text, subtitle: lines }. */
export const renderSvg = async (specification) => {
	const { spec } = compile(specification, { logger: failingLogger })
	const view = new View(parse(spec), { renderer: 'none', logger: failingLogger })
	const svg = await view.toSVG()
	view.finalize()
	return `${described(inLines(rounded(asOneImage(svg))), specification.title)}\n`
}
