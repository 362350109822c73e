// What an emulator of a platform lacks, and the tests that it can't pass for that. Where a probe can show a lack, it does
// so when the tests run: once an emulator has it, the run fails until the tests are taken off the list.

/**
 * - `probe`: a module for the platform's Node, in an empty folder. It prints `lacks` or `has`. `fs`, `path` and
 *   `spawnSync` are imported.
 * - `rust`: names of Rust tests.
 * - `javaScript`: names of tests by file below `__test__/`, or `all` of the file.
 *
 * @typedef {{ lack: string, probe?: string, rust?: string[], javaScript?: Record<string, string[] | 'all'> }} Lack
 */

const IMPORTS = `
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
`

/**
 * Runs the probes. `runProbe` runs the text of a module, and returns what it printed.
 *
 * @param {string} suite @param {Lack[]} lacks @param {(source: string) => string} runProbe
 */
export const runProbes = (suite, lacks, runProbe) => {
	const shown = lacks.filter(({ probe }) => probe !== undefined)
	const wrong = shown.filter(({ lack, probe }) => {
		const output = runProbe(IMPORTS + probe).trim()
		const isSo = output.split('\n').at(-1) === 'lacks'
		console.log(`${lack}: ${isSo ? 'so it is' : `no: ${output}`}`)
		return !isSo
	})
	return {
		suite,
		passed: shown.length - wrong.length,
		failed: wrong.length,
		leftOut: [],
		seconds: 0,
	}
}

/** Why a Rust test is left out; undefined if it is run. @param {Lack[]} lacks @param {string} test */
export const whyNotRust = (lacks, test) => lacks.find(({ rust = [] }) => rust.includes(test))?.lack

/**
 * The tests of a JavaScript file that are left out, each with its reason; `all` if no test of the file is run.
 *
 * @param {Lack[]} lacks
 * @param {string} file
 * @returns {{ all?: string, tests: { test: string, reason: string }[] }}
 */
export const leftOutOf = (lacks, file) => {
	const name = file.replace(/^__test__\//, '')
	const entries = lacks.map(({ lack, javaScript = {} }) => ({
		lack,
		tests: javaScript[name] ?? [],
	}))
	const whole = entries.find(({ tests }) => tests === 'all')
	if (whole) return { all: whole.lack, tests: [] }
	return {
		tests: entries.flatMap(({ lack, tests }) => tests.map((test) => ({ test, reason: lack }))),
	}
}
