// The pages name what is there: files, sections and readers.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import { test } from 'node:test'
import { pages, root } from '../support/pages.mjs'

/** A page without its code, in which brackets are no links. */
const prose = (text) => text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')

/** What GitHub makes of a heading. */
const anchorOf = (heading) =>
	heading
		.toLowerCase()
		.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
		.replace(/[^\p{L}\p{N} _-]/gu, '')
		.replaceAll(' ', '-')

const anchorsOf = (text) =>
	[...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
		anchorOf(heading),
	)

/** What is wrong with the links of pages, given by path and text. */
const brokenLinks = (all, exists) => {
	const texts = new Map(all.map(({ path, text }) => [path, text]))
	return all.flatMap(({ path, text }) =>
		[...prose(text).matchAll(/\]\(([^)\s]+)\)/g)]
			.map(([, link]) => link)
			.filter((link) => !/^[a-z]+:/.test(link))
			.filter((link) => {
				const [name, anchor] = link.split('#')
				const target = name ? posix.join(posix.dirname(path), name) : path
				if (!exists(target)) return true
				return anchor !== undefined && !anchorsOf(texts.get(target) ?? '').includes(anchor)
			})
			.map((link) => `${path}: ${link}`),
	)
}

test('every link leads to a file, and to a section of it', () => {
	const all = pages()
	assert.deepEqual(
		brokenLinks(all, (path) => existsSync(posix.join(root, path))),
		[],
	)
})

test('a link to a missing file or section is reported', () => {
	const all = [
		{
			path: 'README.md',
			text: '# A\n[b](docs/b.md#the-lock) [c](docs/c.md) [d](docs/b.md#gone) [e](#a) [f](https://f)\n',
		},
		{ path: 'docs/b.md', text: '# B\n## The `lock`\n[a](../README.md#a) [b](#none)\n' },
	]
	const exists = (path) => all.some((page) => page.path === path)
	assert.deepEqual(brokenLinks(all, exists), [
		'README.md: docs/c.md',
		'README.md: docs/b.md#gone',
		'docs/b.md: #none',
	])
})

test('every page of docs/ says at its top for whom it is, and is in the index', () => {
	const all = pages()
	const index = all.find(({ path }) => path === 'docs/README.md').text
	for (const { path, text } of all.filter(({ path }) => path.startsWith('docs/'))) {
		assert.match(text, /^# .+\n\n(> )?For /, path)
		if (path !== 'docs/README.md')
			assert.ok(index.includes(`(${path.slice('docs/'.length)})`), path)
	}
})
