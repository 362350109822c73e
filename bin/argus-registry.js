#!/usr/bin/env node
'use strict'

// Starts the native program: the one that was built here, else the one that came with the package
// of this platform. The program gets this process's signals and standard streams, and this process
// ends as the program does.

const { spawn } = require('node:child_process')
const { existsSync } = require('node:fs')
const { constants } = require('node:os')
const { dirname, join } = require('node:path')
const { packageOf, platformsHere, programFile } = require('../lib/addon/platforms.js')

/** All programs that are there. npm may have installed those of two C libraries. */
const programs = () =>
	platformsHere().flatMap((platform) => {
		const file = programFile(platform)
		const candidates = [join(__dirname, '..', file)]
		try {
			const manifest = require.resolve(`${packageOf(platform)}/package.json`)
			candidates.push(join(dirname(manifest), file))
		} catch {
			// Not installed.
		}
		return candidates.filter((each) => existsSync(each))
	})

/** @type {import('node:child_process').ChildProcess | undefined} */
let child

/**
 * Passes a signal on. Not by `child.kill`: Deno would report that signal as the one that ended the
 * program.
 *
 * @param {NodeJS.Signals} signal
 */
const pass = (signal) => {
	try {
		if (child?.pid !== undefined) process.kill(child.pid, signal)
	} catch {
		// The program has just ended.
	}
}

// SIGKILL can't be caught; on Linux the program asks to be ended with this process.
/** @type {NodeJS.Signals[]} */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']
for (const signal of signals) {
	try {
		process.on(signal, () => pass(signal))
	} catch {
		// Windows doesn't have all of them.
	}
}

/**
 * @param {string} what
 * @param {string} next
 * @returns {never}
 */
const fail = (what, next) => {
	console.error(`argus-registry: ${what}\n  next: ${next}`)
	process.exit(2)
}

/**
 * Starts the first of the programs that can be started.
 *
 * @param {string[]} candidates
 * @param {NodeJS.ErrnoException} [failure] Why the one before could not be started.
 */
const start = ([program, ...others], failure) => {
	if (program === undefined) {
		const what = `no program for ${process.platform} on ${process.arch}`
		return fail(
			failure ? `${what} that runs: ${failure.message}` : `${what} beside ${__dirname}`,
			failure?.code === 'EACCES'
				? `make it executable: chmod +x ${failure.path}`
				: 'install it without --omit=optional, or build it with `npm run build`',
		)
	}
	const env = { ...process.env, ARGUS_REGISTRY_LAUNCHER: String(process.pid) }
	const started = spawn(program, process.argv.slice(2), { stdio: 'inherit', env })
	child = started
	// It is for another C library, or may not be executed.
	started.on('error', (error) => {
		if (started.pid === undefined) start(others, error)
	})
	started.on('exit', (code, signal) =>
		process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)),
	)
}

start(programs())
