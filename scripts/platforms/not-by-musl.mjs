// The tests that are left out for musl: Rust tests, whose programs are linked statically, and JavaScript tests.

import { preloaded } from './preloaded.mjs'

const STATIC = 'a library that alters calls of the system can’t be loaded into a static program'

/** Why a Rust test is left out; undefined if it is run. */
export const whyNotStatic = (test) => (preloaded.includes(test) ? STATIC : undefined)

const BUILT_HERE = 'it builds an addon for the C library of this machine'
const STACKS = 'strace finds no callers behind musl’s functions'
const BUN = 'it starts a Bun, and the one that is installed is for glibc'
const COPIED_NODE = 'this Node needs libraries beside it, so that a copy of it does not start'

const files = {
	'__test__/addon/descriptors.test.mjs': {
		tests: [
			{ test: 'Node: the addon, used, closes only what it opened', reason: STACKS },
			...['1.3', '1.4'].flatMap((version) =>
				['only loaded', 'used'].map((how) => ({
					test: `Bun ${version}: the addon, ${how}, closes only what it opened`,
					reason: BUN,
				})),
			),
		],
	},
	'__test__/addon/one-file.test.mjs': {
		tests: [
			{
				test: 'a single executable of Node, with the addon beside it and with packages around it',
				reason: COPIED_NODE,
			},
			...[
				'a compiled Bun program, with the addon beside it, started from another folder',
				'index.js and the addon, copied to a folder, are the whole package for Node and Bun',
				'index.js and the addon, copied to a folder, compile to a program with the addon beside it',
			].map((test) => ({ test, reason: BUN })),
		],
	},
	'__test__/addon/panics.test.mjs': { all: BUILT_HERE, tests: [] },
}

/** What is left out of a file of JavaScript tests: all of it, or some tests, each with its reason. */
export const leftOutOf = (file) => files[file] ?? { tests: [] }
