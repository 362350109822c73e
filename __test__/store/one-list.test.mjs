// The list of tests for every store is one list in both languages: a test that is added in one of them is missing in the
// other until it is added there, or until the difference is named here with its reason.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

const textsIn = (folder, ending) => {
	const url = new URL(`../../${folder}/`, import.meta.url)
	const names = readdirSync(url).filter((name) => name.endsWith(ending))
	return names.map((name) => readFileSync(new URL(name, url), 'utf8')).join('\n')
}

const inRust = () =>
	[...textsIn('tests/it/store', '.rs').matchAll(/^ *for_each_store! \{([^}$]*)\}/gm)].flatMap(
		([, list]) => list.split(',').flatMap((name) => name.trim().replaceAll('_', ' ') || []),
	)

const inJavaScript = () =>
	[...textsIn('__test__/store', '.test.mjs').matchAll(/^forEachStore\(\s*'([^']+)'/gm)].map(
		([, name]) => name.toLowerCase().replaceAll(',', ''),
	)

/** What JavaScript's calls that are made together are, calls of threads are in Rust. */
const PAIRS = new Map([
	['claims of many threads get an id each', 'claims that are made together get an id each'],
	['updates of many threads count exactly', 'updates that are made together count exactly'],
])

const ONLY_IN_RUST = [
	// JavaScript has no stores, only paths.
	'the functions that take a path use the same registry',
]

const ONLY_IN_JAVASCRIPT = [
	// Rust's types don't allow it.
	'what the updater must not return is refused',
	'a record that json can not hold is refused and so is a call that was aborted',
	// In Rust a call has ended when it returns.
	'operations that are not awaited are done in order',
	// Rust has the tests of the mirror in a list of their own, tests/it/store/mirror.rs.
	'older programs and newer ones see all watchers',
]

test('every store has the tests of both languages', () => {
	const rust = inRust()
	const javaScript = inJavaScript()
	const expected = rust
		.filter((name) => !ONLY_IN_RUST.includes(name))
		.map((name) => PAIRS.get(name) ?? name)
	assert.deepEqual([...expected, ...ONLY_IN_JAVASCRIPT].sort(), javaScript.sort())
	const named = [...PAIRS.keys(), ...ONLY_IN_RUST]
	assert.deepEqual(
		named.filter((name) => !rust.includes(name)),
		[],
	)
})
