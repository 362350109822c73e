// Servers of etcd, each with ports and a folder of its own, which end with the test program.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after } from 'node:test'
import { cleanUp } from './cleanup.mjs'
import { etcdAddonFile } from './install.mjs'

/**
 * Starts a server, says its process id, and kills it when standard input ends: also that of a test program that
 * was killed.
 */
const START = `log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $!; read line; kill -9 $!; wait`

const isMissing = (program) => spawnSync(program, ['--help'], { stdio: 'ignore' }).error

/** Why no test against a server can run here; undefined if they can. */
const obstacle = () => {
	if (!etcdAddonFile) return 'its addon is not built'
	const missing = ['etcd', 'etcdctl'].filter(isMissing)
	return missing.length > 0 ? `${missing.join(' and ')} not found` : undefined
}

/**
 * Whether tests against a server are skipped. With ARGUS_REGISTRY_NEEDS_ETCD=true they are not, and fail; otherwise one line says why.
 */
export const skipWithoutEtcd = (() => {
	const reason = obstacle()
	if (reason === undefined) return false
	if (process.env.ARGUS_REGISTRY_NEEDS_ETCD === 'true') return false
	console.log(`skipped here: the tests of the store in etcd, because ${reason}`)
	return reason
})()

/** Ports that no process uses. They stay reserved until all are chosen. */
const freePorts = async (count) => {
	const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
	await Promise.all(servers.map((server) => once(server, 'listening')))
	const ports = servers.map((server) => server.address().port)
	await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
	return ports
}

/** In memory where that can be, so that no test waits for the disk. */
const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Runs `etcdctl` with an endpoint; returns what it has printed, or undefined if it has failed. */
const ctl = (endpoints, args) => {
	const env = { ...process.env, ETCDCTL_API: '3' }
	const { status, stdout } = spawnSync('etcdctl', [`--endpoints=${endpoints}`, ...args], {
		env,
		encoding: 'utf8',
	})
	return status === 0 ? stdout : undefined
}

const healthy = async (endpoint) => {
	for (const end = Date.now() + 60_000; ctl(endpoint, ['endpoint', 'health']) === undefined; ) {
		if (Date.now() > end) throw new Error(`the server at ${endpoint} is not healthy`)
		await pause(20)
	}
}

/** Starts so many servers, with further arguments, and waits until they are healthy unless they use TLS. */
const startServers = async (count, args = []) => {
	const reason = obstacle()
	if (reason !== undefined) throw new Error(`no server of etcd can be started: ${reason}`)
	const dir = mkdtempSync(join(parent, 'argus-etcd-'))
	const ports = await freePorts(2 * count)
	const isTls = args.some((arg) => arg.startsWith('--cert-file'))
	const scheme = isTls ? 'https' : 'http'
	const peer = (index) => `http://127.0.0.1:${ports[count + index]}`
	const all = Array.from({ length: count }, (_, index) => `s${index}=${peer(index)}`).join(',')
	const servers = []
	for (let index = 0; index < count; index += 1) {
		const endpoint = `127.0.0.1:${ports[index]}`
		const client = `${scheme}://${endpoint}`
		const log = join(dir, `s${index}.log`)
		const command = ['etcd', '--name', `s${index}`, '--logger', 'zap']
		command.push('--data-dir', join(dir, `s${index}`))
		command.push('--listen-client-urls', client, '--advertise-client-urls', client)
		command.push('--listen-peer-urls', peer(index))
		command.push('--initial-advertise-peer-urls', peer(index))
		command.push('--initial-cluster', all, ...args)
		const shell = spawn('sh', ['-c', START, 'sh', log, ...command], {
			stdio: ['pipe', 'pipe', 'inherit'],
		})
		const [line] = await once(createInterface({ input: shell.stdout }), 'line')
		servers.push({ shell, pid: Number(line), endpoint })
	}
	if (!isTls) for (const { endpoint } of servers) await healthy(endpoint)
	const endpoints = servers.map(({ endpoint }) => endpoint).join(',')
	const stop = async () => {
		await Promise.all(
			servers.map(async ({ shell }) => {
				if (shell.exitCode !== null) return
				const gone = once(shell, 'exit')
				shell.stdin.end()
				await gone
			}),
		)
		rmSync(dir, { recursive: true, force: true })
	}
	return {
		servers,
		endpoints,
		path: (prefix) => `etcd://${endpoints}${prefix}`,
		ctl: (...args) => ctl(endpoints, args),
		/** The number of the server that leads. */
		leader: () =>
			servers.findIndex(
				({ endpoint }) => ctl(endpoint, ['endpoint', 'status'])?.split(', ')[4] === 'true',
			),
		stop,
	}
}

/** Servers of one test. */
export const etcdServers = async (t, count, args) => {
	const servers = await startServers(count, args)
	cleanUp(t, servers.stop)
	return servers
}

let shared
after(async () => (await shared)?.stop())

/** One server for all tests of a file that need no other one: each has a prefix of its own. */
export const sharedServer = () => {
	shared ??= startServers(1)
	return shared
}

/** The options of a registry by which a busy machine fails no call: one server that is alone has time to answer. */
export const PATIENT = { answerWithinMs: 10_000, readWithinMs: 60_000 }

/** Sets a registry's options. The package is imported here, because without its addon it can't be. */
export const configureEtcd = async (path, options) =>
	(await import('../../etcd/npm/index.js')).default.configure(path, options)

let prefixes = 0

/** The path of a registry that is not there yet. */
export const newEtcdPath = async () => {
	prefixes += 1
	const path = (await sharedServer()).path(`/registry${prefixes}`)
	await configureEtcd(path, PATIENT)
	return path
}
