// The addon closes no descriptor that it has not opened. A process that lost one to a foreign `close` loses
// whatever got its number: the pipe to a browser, or the socket of a server.

import assert from 'node:assert/strict'
import { realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { installed } from '../../scripts/runtime-installs.mjs'
import { descriptorsOf, traced, untraceable } from '../support/descriptor-trace.mjs'
import { folder } from '../support/folder.mjs'
import { addonPath } from '../support/install.mjs'
import { packageFile } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

const program = join(
	dirname(fileURLToPath(import.meta.url)),
	'..',
	'support',
	'descriptor-load.cjs',
)

const isNode = !process.versions.bun && !process.versions.deno

const runtimes = {
	'Bun 1.3': [installed('bun@1.3')],
	'Bun 1.4': [installed('bun@1.4')],
	Node: [process.execPath, '--expose-gc'],
}

const whyNot = () => {
	if (!isNode) return 'the test that Node runs traces Bun, too'
	if (process.platform !== 'linux') return 'strace is a tool of Linux'
	return untraceable(realpathSync(tmpdir()))
}
const reason = whyNot()

const isAddon = (library) => library === realpathSync(addonPath)

for (const [name, [runtime, ...flags]] of Object.entries(runtimes)) {
	const problem = reason ?? (runtime ? undefined : `no ${name}: npm run test:runtimes installs it`)
	const skip = skipIf(problem !== undefined, problem)
	for (const isUsed of [false, true]) {
		test(`${name}: the addon, ${isUsed ? 'used' : 'only loaded'}, closes only what it opened`, {
			skip,
		}, (t) => {
			const at = folder(t)
			const command = [runtime, ...flags, program, ...(isUsed ? [at.dir] : [])]
			const env = { ...process.env, TEST_PACKAGE: packageFile }
			const { status, stdout, stderr, trace } = traced(at.dir, command, { env })
			assert.equal(status, 0, stderr)
			assert.equal(stdout, 'done\n')
			const { made, closed, strange } = descriptorsOf(trace, isAddon)
			assert.deepEqual(strange, [])
			// Calls are found to be the addon's, where it makes any.
			if (isUsed) assert.ok(made >= 20 && closed >= 20, `${made} made, ${closed} closed`)
		})
	}
}

test('a foreign descriptor that is closed is noticed, and so is one that is closed twice', () => {
	const stack = (library) =>
		` > /usr/lib/libc.so.6(__close+0x7) [0xfce67]\n > ${library}() [0x56281]\n > /bin/runtime(main+0x1) [0x1]\n`
	const own = stack('/addon.node')
	const trace = [
		`7 openat(AT_FDCWD, "/a", O_RDONLY|O_CLOEXEC) = 5\n${own}`,
		`7 openat(AT_FDCWD, "/b", O_RDONLY|O_CLOEXEC) = 6\n${stack('/bin/other')}`,
		// The runtime's call, inside of one of its functions that the addon has called.
		`7 close(6)                          = 0\n > /usr/lib/libc.so.6(__close+0x7) [0xf]\n > /bin/runtime(f+0x1) [0x1]\n${own}`,
		`7 fcntl(5, F_DUPFD_CLOEXEC, 3) = 9\n${own}`,
		// Another thread gets the number before the thread that closes it goes on.
		`8 close(5 <unfinished ...>\n7 openat(AT_FDCWD, "/c", O_RDONLY) = 5\n${own}`,
		`7 close(5)                          = 0\n${own}8 <... close resumed>)             = 0\n${own}`,
		`7 close(9)                          = 0\n${own}`,
		`7 close(5)                          = -1 EBADF (Bad file descriptor)\n${own}`,
		`7 close(6)                          = 0\n${own}`,
	].join('')
	const { made, closed, strange } = descriptorsOf(trace, (library) => library === '/addon.node')
	assert.deepEqual([made, closed], [3, 5])
	assert.deepEqual(strange, ['close(5)', 'close(6)'])
})
