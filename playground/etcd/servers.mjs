// Servers of etcd from the installed program, in a temporary folder: started, killed, started again.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

/** Says the server's process id, and kills it when standard input ends: also that of a playground that was killed. */
const START = 'log=$1; shift; "$@" >"$log" 2>&1 </dev/null & echo $!; read line; kill -9 $!; wait'

const HEALTHY_WITHIN_MS = 60_000

/** With these a new leader is there within half a second, as docs/concepts/stores.md says. */
const SETTINGS = ['--election-timeout=250', '--heartbeat-interval=25', '--pre-vote', '--logger=zap']

export const isInstalled = () => spawnSync('etcd', ['--version']).error === undefined

/** Ports that no process uses. They stay reserved until all are chosen. */
const freePorts = async (count) => {
	const listeners = Array.from({ length: count }, () => createServer().listen(0))
	await Promise.all(listeners.map((listener) => once(listener, 'listening')))
	const ports = listeners.map((listener) => listener.address().port)
	await Promise.all(listeners.map((listener) => once(listener.close(), 'close')))
	return ports
}

/** What a server says of itself by its gateway, without `etcdctl`; undefined if it doesn't answer. */
const statusOf = async (url) => {
	try {
		const body = { method: 'POST', body: '{}', signal: AbortSignal.timeout(1_000) }
		return await (await fetch(`${url}/v3/maintenance/status`, body)).json()
	} catch {
		return undefined
	}
}

/** Whether a server answers reads, for which it needs a leader. */
const isHealthy = async (url) => {
	try {
		return (await fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) })).ok
	} catch {
		return false
	}
}

const startServer = async (log, args) => {
	const shell = spawn('sh', ['-c', START, 'sh', log, 'etcd', ...args], {
		stdio: ['pipe', 'pipe', 'ignore'],
	})
	const [pid] = await once(createInterface({ input: shell.stdout }), 'line')
	return { shell, pid: Number(pid) }
}

const stopServer = async ({ shell }) => {
	if (shell.exitCode !== null) return
	const gone = once(shell, 'exit')
	shell.stdin.end()
	await gone
}

/** Starts so many servers that listen at `address`, and waits until they have a leader. */
export const startCluster = async ({ dir, address, count, signal }) => {
	const ports = await freePorts(2 * count)
	const peerOf = (index) => `http://127.0.0.1:${ports[count + index]}`
	const names = Array.from({ length: count }, (_, index) => `server-${index + 1}`)
	const all = names.map((name, index) => `${name}=${peerOf(index)}`).join(',')
	const endpoints = names.map((_, index) => `${address}:${ports[index]}`)
	const start = (index) => {
		const client = `http://${endpoints[index]}`
		const args = ['--name', names[index], '--data-dir', join(dir, names[index]), ...SETTINGS]
		args.push('--listen-client-urls', client, '--advertise-client-urls', client)
		args.push('--listen-peer-urls', peerOf(index), '--initial-advertise-peer-urls', peerOf(index))
		args.push('--initial-cluster', all)
		return startServer(join(dir, `${names[index]}.log`), args)
	}
	/** Waits until a server is up and has a leader. */
	const whenHealthy = async (index) => {
		for (const end = Date.now() + HEALTHY_WITHIN_MS; Date.now() < end; await delay(20)) {
			signal.throwIfAborted()
			if (await isHealthy(`http://${endpoints[index]}`)) return
		}
		throw new Error(`${names[index]} is not healthy`)
	}
	const servers = []
	const stop = () => Promise.all(servers.map(stopServer))

	/** The number of the server that leads; waits until one does, other than `former`. */
	const leader = async (former = -1) => {
		for (const end = Date.now() + HEALTHY_WITHIN_MS; Date.now() < end; await delay(20)) {
			signal.throwIfAborted()
			const found = await Promise.all(endpoints.map((endpoint) => statusOf(`http://${endpoint}`)))
			const leads = ({ leader: id, header } = {}) => id !== undefined && id === header?.member_id
			const index = found.findIndex((status) => status?.leader !== '0' && leads(status))
			if (index >= 0 && index !== former) return index
		}
		throw new Error('the servers have no leader')
	}

	try {
		for (let index = 0; index < count; index += 1) servers.push(await start(index))
		await Promise.all(names.map((_, index) => whenHealthy(index)))
	} catch (error) {
		await stop()
		throw error
	}
	return {
		names,
		endpoints,
		leader,
		stop,
		kill: (index) => process.kill(servers[index].pid, 'SIGKILL'),
		restart: async (index) => {
			await stopServer(servers[index])
			servers[index] = await start(index)
			await whenHealthy(index)
		},
	}
}
