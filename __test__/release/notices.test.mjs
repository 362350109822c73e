// The packages per platform name what is compiled into their files.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noticesFor } from '../../scripts/release/notices.mjs'
import { releaseTargets } from '../../scripts/release/targets.mjs'
import { skipIf } from '../support/skip.mjs'

// The crates of other systems need not be there.
const here = releaseTargets.find(({ target }) => target === 'x86_64-unknown-linux-gnu')
const isHere = process.platform === 'linux' && process.arch === 'x64'

test('the notices have every linked crate, and the text of its licence', {
	skip: skipIf(!isHere, 'the crates of other platforms need not be there'),
}, () => {
	const notices = noticesFor(here)
	// Of the addon, of the program, and through other crates.
	for (const name of ['napi', 'clap', 'serde_json', 'memchr']) {
		assert.match(notices, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: .*MIT`, 'm'))
	}
	assert.match(notices, /Permission is hereby granted, free of charge/)
	// They only take part in building, or in testing.
	for (const name of ['napi-build', 'napi-derive', 'syn', 'tempfile']) {
		assert.doesNotMatch(notices, new RegExp(`^${name} \\d`, 'm'))
	}
	assert.doesNotMatch(notices, /^musl: /m)
	assert.match(noticesFor({ ...here, platform: 'linux-x64-musl' }), /^musl: MIT/m)
})
