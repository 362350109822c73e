// One run on etcd: watchers that claim an entry, beat, update and leave, while watchers and servers are killed, and
// one watcher is frozen past its lease. Whatever has to come in order waits for messages.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readRegistry } from '../../index.js'
import { isUpdate } from '../account.mjs'
import { clock } from '../clock.mjs'
import { createCrew } from '../crew.mjs'
import { settleEtcdAccount } from './account.mjs'
import { openNetwork } from './network.mjs'
import { startCluster } from './servers.mjs'

/** What all watchers ask for, so that all but one get a suffix. */
const ASKED_FOR = 'app'
const FIRST_PORT = 9_001
/** 60 s in real life, at heartbeats every 15 s. */
const LEASE_MS = 4_000
const BEAT_MS = 700
const UPDATE_MS = 300
/** No call is to fail because of an election or of a busy machine. */
const TIMEOUT_MS = 20_000
/** A cluster goes on without one of three servers, and not without one of two. */
const MIN_SERVERS = 3

const canFreeze = process.platform !== 'win32'
const ms = (value) => `${value.toFixed(1)} ms`

const createScene = ({ path, network, over, program, say }) => {
	const { signal } = over
	const reports = []
	const onReport = (report) => {
		reports.push(report)
		const { id, pid, what, error, claim, isLost } = report
		const took = ms(report.endedAt - report.startedAt)
		if (isLost) return say(id, `found its entry ${claim.id} gone`)
		if (error) return say(id, `could not ${what}: ${error}`)
		if (what === 'claim') say(id, `process ${pid} announced as ${claim.id} after ${took}`)
		if (what === 'leave') say(id, `left after ${took}`)
	}
	const crew = createCrew({ signal, onReport, onFailure: (error) => over.abort(error) })
	let started = 0
	return {
		path,
		reports,
		say,
		signal,
		pause: (time) => delay(time, undefined, { signal }),
		stop: crew.stop,
		/** A watcher process that is ready to ask for that id. */
		startWatcher: async (id, asksFor) => {
			started += 1
			const [within, host] = [network.within(started), network.host(started)]
			const options = { timeoutMs: TIMEOUT_MS }
			const own = {
				id,
				asksFor,
				host,
				port: FIRST_PORT + started,
				beatMs: BEAT_MS,
				updateMs: UPDATE_MS,
			}
			const etcd = { leaseMs: LEASE_MS, readWithinMs: TIMEOUT_MS }
			const watcher = crew.start('watcher.mjs', { path, options, etcd, ...own }, program, within)
			const { runtime } = await watcher.next('ready')
			return { ...watcher, runtime }
		},
		/** Resolves with the watcher's claim. */
		announce: async (watcher) => {
			const claimed = watcher.next('claim')
			watcher.order('start')
			return (await claimed).claim
		},
	}
}

const isEntryOf = (entry, claim) => entry?.pid === claim.pid && entry.startedAt === claim.startedAt

/** Waits until the entry of a claim has gone with its lease, and notes that as the end of its life. */
const waitUntilGone = async ({ path, pause, reports }, claim, since) => {
	let last
	for (;;) {
		const askedAt = clock()
		const { registry } = await readRegistry(path)
		const entry = registry.watchers[claim.id]
		if (!isEntryOf(entry, claim)) {
			const pruned = last ? [{ id: claim.id, watcher: last, reason: 'lease' }] : []
			reports.push({ id: 'etcd', what: 'prune', startedAt: since, endedAt: clock(), pruned })
			return askedAt - since
		}
		last = entry
		await pause(50)
	}
}

const killWatcher = async (scene) => {
	const id = 'victim'
	const victim = await scene.startWatcher(id, id)
	const claim = await scene.announce(victim)
	await victim.next('update')
	const releasedAt = clock()
	victim.kill()
	scene.say(id, 'killed with SIGKILL')
	await victim.ended
	const goneMs = await waitUntilGone(scene, claim, releasedAt)
	scene.say(id, `its entry went ${ms(goneMs)} after the kill, with its lease`)
	return { hold: { id, releasedAt } }
}

/** Kills a server, and starts it again when updates have been acknowledged without it. */
const killServer = async ({ pause, reports, say }, cluster, role) => {
	const leader = await cluster.leader()
	const index = role === 'leader' ? leader : (leader + 1) % cluster.names.length
	const killedAt = clock()
	cluster.kill(index)
	say(cluster.names[index], `the ${role}, killed with SIGKILL`)
	const isAfter = (report) => isUpdate(report) && !report.error && report.startedAt > killedAt
	while (!reports.some(isAfter)) await pause(20)
	const first = reports.filter(isAfter).sort((one, other) => one.endedAt - other.endedAt)[0]
	const took = first.endedAt - first.startedAt
	say(first.id, `updated without it: ${ms(took)}`)
	await cluster.leader(role === 'leader' ? index : undefined)
	await cluster.restart(index)
	const isCut = ({ startedAt, endedAt }) => startedAt < killedAt && endedAt > killedAt
	return { role, name: cluster.names[index], ms: took, calls: reports.filter(isCut).length }
}

/** Freezes a watcher until its entry has gone and its id is another one's. */
const freezeWatcher = async (scene, watcher) => {
	const { id } = watcher
	// Not that of the opening, if a busy machine has made it lose its entry and enter again.
	const { claim } = scene.reports.findLast((report) => report.id === id && report.what === 'claim')
	const frozenAt = clock()
	watcher.signal('SIGSTOP')
	scene.say(id, `frozen with SIGSTOP; its lease is ${LEASE_MS} ms`)
	const goneMs = await waitUntilGone(scene, claim, frozenAt)
	scene.say(id, `its entry went ${ms(goneMs)} after the freeze`)
	const successor = await scene.startWatcher('successor', claim.id)
	const taken = await scene.announce(successor)
	const wokenAt = clock()
	const entered = watcher.next('claim')
	watcher.signal('SIGCONT')
	scene.say(id, `woken after ${ms(wokenAt - frozenAt)}`)
	await entered
	return {
		successor,
		freeze: { id, ms: wokenAt - frozenAt, goneMs, takenBy: `successor as ${taken.id}` },
	}
}

const play = async (scene, cluster, { watchers, seconds }) => {
	const ids = Array.from({ length: watchers }, (_, index) => `watcher-${index + 1}`)
	const all = await Promise.all(ids.map((id) => scene.startWatcher(id, ASKED_FOR)))
	scene.say(
		'playground',
		`${watchers} watchers are ready, and ask for '${ASKED_FOR}' at the same moment`,
	)
	const claims = await Promise.all(all.map(scene.announce))
	const insideAt = clock()
	const { registry } = await readRegistry(scene.path)
	const opening = claims.map((claim) => {
		return { claim, acknowledged: 0, entry: registry.watchers[claim.id], insideAt }
	})
	const own = opening.filter(({ claim, entry }) => isEntryOf(entry, claim))
	scene.say('playground', `${own.length} of ${watchers} are in the registry`)

	const begin = clock()
	const kills = [await killWatcher(scene)]
	const outages = []
	const roles = cluster.names.length >= MIN_SERVERS ? ['follower', 'leader'] : []
	if (roles.length === 0)
		scene.say('playground', `no server is killed: that takes --servers ${MIN_SERVERS}`)
	for (const role of roles) outages.push(await killServer(scene, cluster, role))
	let frozen
	if (canFreeze) frozen = await freezeWatcher(scene, all[0])
	else scene.say('playground', 'no freeze: this platform has no SIGSTOP')
	await scene.pause(Math.max(0, begin + seconds * 1e3 - clock()))

	const staying = frozen ? [...all, frozen.successor] : all
	for (const watcher of staying) {
		watcher.letEnd()
		watcher.order('leave')
	}
	await Promise.all(staying.map(({ ended }) => ended))
	const { registry: left } = await readRegistry(scene.path)
	return settleEtcdAccount({
		...{ runtime: all[0].runtime, servers: cluster.names.length, watchers, leaseMs: LEASE_MS },
		...{ kills, outages, opening, registry: left, reports: scene.reports },
		freeze: frozen?.freeze,
	})
}

/**
 * Runs the simulation on etcd and returns its account (see account.mjs). The options are those of `simulate`, and
 * `servers`, a number.
 */
export const simulateEtcd = async ({
	program,
	signal,
	onEvent = () => {},
	servers,
	...options
}) => {
	signal?.throwIfAborted()
	const over = new AbortController()
	const interrupt = () => over.abort(signal.reason)
	signal?.addEventListener('abort', interrupt)
	const dir = await mkdtemp(join(tmpdir(), 'argus-playground-'))
	const startedAt = clock()
	const say = (who, text) => onEvent({ seconds: (clock() - startedAt) / 1e3, who, text })
	const network = openNetwork(say)
	let cluster
	let scene
	try {
		const { address } = network
		cluster = await startCluster({ dir, address, count: servers, signal: over.signal })
		say(
			'playground',
			`${servers} ${servers === 1 ? 'server runs' : 'servers run'} at ${cluster.endpoints.join(', ')}`,
		)
		const path = `etcd://${cluster.endpoints.join(',')}/playground`
		scene = createScene({ path, network, over, program, say })
		return await play(scene, cluster, options)
	} catch (error) {
		// What fails after an end of everything fails because of it.
		throw over.signal.aborted ? over.signal.reason : error
	} finally {
		over.abort()
		signal?.removeEventListener('abort', interrupt)
		await scene?.stop()
		await cluster?.stop()
		network.remove()
		await rm(dir, { recursive: true, force: true, maxRetries: 5 })
	}
}
