// One server of etcd, with ports and a folder of its own.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const HEALTHY_WITHIN_MS = 60_000

/** The version of the installed program; undefined if there is none. */
export const etcdVersion = () => {
	const { error, stdout } = spawnSync('etcd', ['--version'], { encoding: 'utf8' })
	return error ? undefined : /etcd Version: (\S+)/.exec(stdout)?.[1]
}

/** Ports that no process uses. They stay reserved until all are chosen. */
const freePorts = async (count) => {
	const servers = Array.from({ length: count }, () => createServer())
	for (const server of servers) await once(server.listen(0, '127.0.0.1'), 'listening')
	const ports = servers.map((server) => server.address().port)
	for (const server of servers) await once(server.close(), 'close')
	return ports
}

const isHealthy = async (client) => {
	try {
		return (await fetch(`${client}/health`)).ok
	} catch {
		return false
	}
}

/** Starts a server, and waits until it is healthy. `track` gets its process. */
export const startEtcd = async (folder, track) => {
	const [client, peer] = (await freePorts(2)).map((port) => `http://127.0.0.1:${port}`)
	const args = [
		'--name',
		'one',
		'--data-dir',
		join(folder, 'data'),
		'--initial-cluster',
		`one=${peer}`,
	]
	for (const urls of ['listen-client-urls', 'advertise-client-urls']) args.push(`--${urls}`, client)
	for (const urls of ['listen-peer-urls', 'initial-advertise-peer-urls'])
		args.push(`--${urls}`, peer)
	const child = track(spawn('etcd', args, { stdio: 'ignore' }))
	const end = performance.now() + HEALTHY_WITHIN_MS
	while (!(await isHealthy(client))) {
		if (child.exitCode !== null || performance.now() > end) throw new Error('etcd did not start')
		await sleep(20)
	}
	return {
		endpoint: client.slice('http://'.length),
		pid: child.pid,
		stop: async () => {
			const ended = once(child, 'exit')
			child.kill('SIGKILL')
			await ended
		},
	}
}
