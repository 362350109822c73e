// An npm registry of its own on the loopback interface: verdaccio, which holds what is published to it and asks
// no other registry.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { toolsFolder } from './paths.mjs'

const VERSION = '6.8.0'

const folder = join(toolsFolder, `verdaccio@${VERSION}`)

const install = () => {
	const program = join(folder, 'node_modules', 'verdaccio', 'bin', 'verdaccio')
	if (existsSync(program)) return program
	console.log('Installing verdaccio ...')
	mkdirSync(folder, { recursive: true })
	// A dependency of verdaccio asks for a version of node-fetch by a tag that a registry need not have.
	const manifest = { private: true, overrides: { 'node-fetch': '2.7.0' } }
	writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
	const args = ['install', '--save-exact', '--no-fund', '--no-audit', '--loglevel=error']
	const { status } = spawnSync('npm', [...args, `verdaccio@${VERSION}`], {
		cwd: folder,
		stdio: 'inherit',
	})
	if (status !== 0) throw new Error(`npm could not install verdaccio ${VERSION}`)
	return program
}

const freePort = async () => {
	const server = createServer().listen(0, '127.0.0.1')
	await once(server, 'listening')
	const { port } = server.address()
	server.close()
	await once(server, 'close')
	return port
}

const configuration = (storage) => `storage: ${JSON.stringify(storage)}
auth:
  htpasswd:
    file: ${JSON.stringify(join(storage, 'htpasswd'))}
packages:
  '**':
    access: $all
    publish: $all
max_body_size: 100mb
log: { type: stdout, format: pretty, level: warn }
`

const answers = async (url) => {
	try {
		return (await fetch(`${url}-/ping`)).ok
	} catch {
		return false
	}
}

/** Starts a registry that is empty, with its files in a folder: its address, and how to end it. */
export const startRegistry = async (storage) => {
	const program = install()
	mkdirSync(storage, { recursive: true })
	const config = join(storage, 'config.yaml')
	writeFileSync(config, configuration(storage))
	const port = await freePort()
	const url = `http://127.0.0.1:${port}/`
	const server = spawn(
		process.execPath,
		[program, '--config', config, '--listen', `127.0.0.1:${port}`],
		{ stdio: ['ignore', 'ignore', 'inherit'] },
	)
	const stop = () => server.kill()
	for (let tries = 0; !(await answers(url)); tries++) {
		if (server.exitCode !== null || tries === 600) {
			stop()
			throw new Error(`verdaccio does not answer at ${url}`)
		}
		await new Promise((resolve) => setTimeout(resolve, 100))
	}
	return { url, port, stop }
}
