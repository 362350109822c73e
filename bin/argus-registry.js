#!/usr/bin/env node
'use strict'

// Starts the native program: the one that was built here, else the one that came with the package
// argus-registry-cli. The program gets this process's signals and standard streams, and this process
// ends as the program does.

const { spawn } = require('node:child_process')
const { existsSync, realpathSync } = require('node:fs')
const { createRequire } = require('node:module')
const { constants } = require('node:os')
const { dirname, join } = require('node:path')
const {
	PROGRAM_PACKAGE,
	platformsHere,
	programFile,
	programPackageOf,
} = require('../lib/addon/platforms.js')

/**
 * The folder of a package, as code in another folder finds it.
 *
 * @param {string} name
 * @param {string} from
 */
const packageFolder = (name, from) => {
	try {
		return dirname(createRequire(join(from, 'here.js')).resolve(`${name}/package.json`))
	} catch {
		return undefined
	}
}

/**
 * The folders from which packages of the program are searched: of this file, of argus-registry-cli beside
 * this package, and of the file that was started. A package manager may put the program's packages where
 * only argus-registry-cli finds them.
 */
const starts = () => {
	const [, started = __filename] = process.argv
	const folders = [__dirname, packageFolder(PROGRAM_PACKAGE, __dirname)]
	try {
		folders.push(dirname(realpathSync(started)))
	} catch {
		// It is gone.
	}
	return folders.filter((folder) => folder !== undefined)
}

/** All programs that are there. npm may have installed those of two C libraries. */
const programs = () => {
	const from = starts()
	const found = platformsHere().flatMap((platform) => {
		const installed = from.map((folder) => packageFolder(programPackageOf(platform), folder))
		const folders = [join(__dirname, '..'), ...installed]
		return folders.flatMap((folder) => (folder ? [join(folder, programFile(platform))] : []))
	})
	return [...new Set(found)].filter((each) => existsSync(each))
}

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
		const here = `${process.platform} on ${process.arch}`
		if (failure?.code === 'EACCES') {
			return fail(
				`the program for ${here} can't be started: ${failure.message}`,
				`make it executable: chmod +x ${failure.path}`,
			)
		}
		return fail(
			failure
				? `no program for ${here} that runs: ${failure.message}`
				: `the program is in a package of its own, ${PROGRAM_PACKAGE}, and there is none for ${here} here`,
			`npm install ${PROGRAM_PACKAGE}, without --omit=optional; in a checkout, npm run build`,
		)
	}
	const env = { ...process.env }
	// The program takes it from its own environment, so that its command does not see it; on Windows it has no use for it.
	if (process.platform !== 'win32') env.ARGUS_REGISTRY_LAUNCHER = String(process.pid)
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
