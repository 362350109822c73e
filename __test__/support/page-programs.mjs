// The programs on the pages, run in a folder of a test.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanUp, killed } from './cleanup.mjs'
import { root } from './pages.mjs'
import { commandFor, importPackage } from './script.mjs'

export const page = (path) => readFileSync(join(root, path), 'utf8')

/** A program of a page, with the package from here instead of from an installation. */
const program = (code) => {
	const changed = code.replace(
		/^import (\{.*\}) from 'argus-registry'$/m,
		`${importPackage}\nconst $1 = registry`,
	)
	assert.notEqual(changed, code, 'the program imports the package')
	return changed
}

/** Starts a program in a folder; `pid` is its process, `line` what it first prints, `end` how it ended. */
export const start = (t, at, name, code) => {
	const file = join(at.dir, name)
	writeFileSync(file, program(code))
	const [command, ...args] = commandFor(file)
	const child = spawn(command, args, { cwd: at.dir, stdio: ['ignore', 'pipe', 'inherit'] })
	cleanUp(t, () => killed(child))
	return {
		pid: child.pid,
		kill: (signal) => child.kill(signal),
		line: new Promise((resolve) => child.stdout.once('data', (data) => resolve(`${data}`.trim()))),
		end: new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal))),
	}
}
