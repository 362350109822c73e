// Modules that tests run in a process of their own, by the runtime that runs the tests.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

export const packageFile = join(root, 'index.js')

/**
 * Required, not imported: Deno takes a file for CommonJS only if it finds it from its own folder.
 */
export const importPackage = `import { createRequire } from 'node:module'
const registry = createRequire(${JSON.stringify(packageFile)})('./index.js')`

/** The command that runs a file by this runtime, with flags of its engine. */
export const commandFor = (file, flags = []) => {
	const { execPath, versions } = process
	if (!versions.deno) return [execPath, ...flags, file]
	const v8Flags = flags.length > 0 ? [`--v8-flags=${flags.join()}`] : []
	// Deno grants no access by default, and an addon needs all of it.
	return [execPath, 'run', '-A', ...v8Flags, file]
}

/**
 * A module's text as a command, and how to remove it: the runtimes have no flag in common that
 * runs a text as a module.
 */
export const asCommand = (text, flags) => {
	const dir = realpathSync(mkdtempSync(join(tmpdir(), 'argus-registry-script-')))
	// A user without privileges may have to read it.
	chmodSync(dir, 0o755)
	const file = join(dir, 'script.mjs')
	writeFileSync(file, text)
	return {
		command: commandFor(file, flags),
		remove: () => rmSync(dir, { recursive: true, force: true }),
	}
}

export const isRoot = process.getuid?.() === 0

export const NOBODY = 65_534

/** Runs a module's text in a process of its own, and returns what it prints as JSON. */
export const run = (text, { wrap = (command) => command, ...options } = {}) => {
	const { command, remove } = asCommand(`${importPackage}
		const outcome = async (promise) => promise.then((value) => ({ value }), ({ name, code, path, cause }) =>
			({ name, code, path, cause: cause?.code }))
		${text}`)
	const [file, ...args] = wrap(command)
	const { status, stdout, stderr } = spawnSync(file, args, { encoding: 'utf8', ...options })
	remove()
	assert.equal(status, 0, stderr)
	return JSON.parse(stdout)
}

/**
 * Like `run`, as a user without privileges, also where root runs the tests. The process gives them
 * up itself: older Buns start children as root, whatever options `spawn` gets. What the text needs
 * of this repository has to be loaded by `prepare`, before that: root's clone may be open to root
 * only.
 */
export const runUnprivileged = (text, group = NOBODY, prepare = '') => {
	const drop = `process.setgroups?.([]); process.setgid(${group}); process.setuid(${NOBODY})`
	return run(isRoot ? `${prepare}\n${drop}\n${text}` : `${prepare}\n${text}`)
}
