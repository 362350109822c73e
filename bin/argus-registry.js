#!/usr/bin/env node
'use strict'

// Starts the native program: the one that was built here, else the one that came with the package of
// this platform. Its signals, its end and its standard streams are this process's.

const { spawn } = require('node:child_process')
const { existsSync } = require('node:fs')
const { constants } = require('node:os')
const { dirname, join } = require('node:path')

const kinds = { linux: ['-gnu', '-musl'], darwin: [''], win32: ['-msvc'] }
const exe = process.platform === 'win32' ? '.exe' : ''
const platforms = (kinds[process.platform] ?? []).map(
	(kind) => `${process.platform}-${process.arch}${kind}`,
)

/** All programs that are there. npm may have installed those of two C libraries. */
const programs = () =>
	platforms.flatMap((platform) => {
		const file = `argus-registry.${platform}${exe}`
		const places = [join(__dirname, '..', file)]
		try {
			places.push(join(dirname(require.resolve(`argus-registry-${platform}/package.json`)), file))
		} catch {
			// Not installed.
		}
		return places.filter((place) => existsSync(place))
	})

let child

/** Not by `child.kill`: Deno would tell of that signal as what ended the program. */
const pass = (signal) => {
	try {
		if (child?.pid !== undefined) process.kill(child.pid, signal)
	} catch {
		// It has just ended.
	}
}

// SIGKILL can't be caught; on Linux the program asks to be ended with this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
	try {
		process.on(signal, () => pass(signal))
	} catch {
		// Windows doesn't have all of them.
	}
}

const fail = (what, next) => {
	console.error(`argus-registry: ${what}\n  next: ${next}`)
	process.exit(2)
}

const start = ([program, ...others], failure) => {
	if (!program) {
		const what = `no program for ${process.platform} on ${process.arch}`
		return fail(
			failure ? `${what} that runs: ${failure.message}` : `${what} beside ${__dirname}`,
			failure?.code === 'EACCES'
				? `make it executable: chmod +x ${failure.path}`
				: 'install it without --omit=optional, or build it with `npm run build`',
		)
	}
	const env = { ...process.env, ARGUS_REGISTRY_LAUNCHER: String(process.pid) }
	child = spawn(program, process.argv.slice(2), { stdio: 'inherit', env })
	// It is for another C library, or may not be executed.
	child.on('error', (error) => {
		if (child.pid === undefined) start(others, error)
	})
	child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}

start(programs())
