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
	const notices = noticesFor(here, 'program')
	// Of the addon, of the program, and through other crates.
	for (const name of ['napi', 'clap', 'serde_json', 'memchr']) {
		assert.match(notices, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: .*MIT`, 'm'))
	}
	assert.match(notices, /Permission is hereby granted, free of charge/)
	assert.match(notices, /^The addon and the program contain code of/)
	assert.equal(noticesFor(here, 'addon'), notices)
	// They only take part in building, or in testing.
	for (const name of ['napi-build', 'napi-derive', 'syn', 'tempfile']) {
		assert.doesNotMatch(notices, new RegExp(`^${name} \\d`, 'm'))
	}
	assert.doesNotMatch(notices, /^musl: /m)
	assert.match(noticesFor({ ...here, platform: 'linux-x64-musl' }, 'program'), /^musl: MIT/m)
})

test('the notices of the addon of the store in etcd are those of its own crates', {
	skip: skipIf(!isHere, 'the crates of other platforms need not be there'),
}, () => {
	const notices = noticesFor(here, 'etcdAddon')
	assert.match(notices, /^The addon contains code of/)
	for (const name of ['napi', 'tonic', 'rustls']) {
		assert.match(notices, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+: .*MIT`, 'm'))
	}
	// Not MIT: its texts have to be there as they are.
	assert.match(notices, /^ring \d+\.\d+\.\d+: Apache-2\.0 AND ISC/m)
	assert.match(notices, /^ring\n\n/m)
	const ofMusl = noticesFor({ ...here, platform: 'linux-x64-musl' }, 'etcdAddon')
	assert.doesNotMatch(ofMusl, /^musl: /m, 'an addon takes the C library of its process')
	// The program's, and the project's own, whose licence is a file beside the notices.
	for (const name of ['clap', 'argus-registry', 'argus-registry-etcd']) {
		assert.doesNotMatch(notices, new RegExp(`^${name} \\d`, 'm'))
	}
})
