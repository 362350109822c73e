// One run: watchers that claim an entry, beat, update and leave, a pruner beside them, holders
// that are killed and one that is frozen. Whatever has to come in order waits for messages; time
// is only the pace of heartbeats and the length of the run.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readRegistry } from '../index.js'
import { settleAccount } from './account.mjs'
import { freezeHolder, killHolder } from './acts.mjs'
import { clock } from './clock.mjs'
import { createScene, TTL_MS } from './scene.mjs'

/** What all watchers ask for, so that all but one get a suffix. */
const ASKED_FOR = 'app'

/** A watcher that listens here only is known to be dead as soon as its process is gone. */
const HERE = '127.0.0.1'
/** One that may be on another machine is given up when it gets too old. For documentation only. */
const ELSEWHERE = '192.0.2.1'

/** What happens in the course of a run: how a victim holds the lock and where it listens. */
const ACTS = [
	{ how: 'waiting', host: ELSEWHERE },
	{ how: 'blocked', host: ELSEWHERE },
	{ how: 'committing', host: ELSEWHERE },
	{ how: 'freeze' },
	{ how: 'waiting', host: HERE },
	{ how: 'blocked', host: HERE },
	{ how: 'committing', host: HERE },
]

const canFreeze = process.platform !== 'win32'

/** All at one moment; then each watcher has to be in the file. Resolves with what is there. */
const openWith = async ({ announce, path, say }, all) => {
	say(
		'playground',
		`${all.length} watchers are ready, and ask for '${ASKED_FOR}' at the same moment`,
	)
	const claims = await Promise.all(all.map(announce))
	const insideAt = clock()
	const { registry } = await readRegistry(path)
	const seen = claims.map((claim) => {
		return { claim, acknowledged: 0, entry: registry.watchers[claim.id], insideAt }
	})
	const own = seen.filter(({ claim, entry }) => entry?.pid === claim.pid)
	say('playground', `${own.length} of ${all.length} are in the registry`)
	return seen
}

/** Spread over the run, which gets longer if they take longer. */
const playActs = async (scene, seconds, frozen) => {
	const begin = clock()
	const reach = (share) => scene.pause(Math.max(0, begin + share * seconds * 1e3 - clock()))
	const played = { kills: [], freeze: null }
	if (!canFreeze) scene.say('playground', 'no freeze: this platform has no SIGSTOP')
	for (const [index, act] of ACTS.entries()) {
		await reach((index + 1) / (ACTS.length + 1))
		const victim = `victim-${played.kills.length + 1}`
		if (act.how !== 'freeze') played.kills.push(await killHolder(scene, victim, act))
		else if (canFreeze) played.freeze = await freezeHolder(scene, frozen)
	}
	await reach(1)
	return played
}

/** The watchers leave; the pruner goes on until those that were killed are out, too. */
const close = async (all, pruner) => {
	for (const member of [...all, pruner]) member.letEnd()
	for (const watcher of all) watcher.order('leave')
	await Promise.all(all.map(({ ended }) => ended))
	const done = pruner.next('done')
	pruner.order('finish')
	const { reads } = await done
	await pruner.ended
	return reads
}

const play = async (scene, { watchers, seconds, withoutLock }) => {
	if (withoutLock) scene.say('playground', 'a demonstration: there is no lock around the updates')
	const ids = Array.from({ length: watchers }, (_, index) => `watcher-${index + 1}`)
	const asked = { asksFor: ASKED_FOR, host: HERE }
	const all = await Promise.all(ids.map((id) => scene.startWatcher(id, asked)))
	const opening = await openWith(scene, all)
	const pruner = scene.startPruner()
	const ticker = setInterval(scene.tick, 1_000)
	try {
		const played = await playActs(scene, seconds, all[0])
		const reads = await close(all, pruner)
		const { registry } = await readRegistry(scene.path)
		const { runtime } = all[0]
		const seen = { opening, reads, registry, reports: scene.reports }
		return settleAccount({ ...played, ...seen, runtime, ttlMs: TTL_MS, watchers })
	} finally {
		clearInterval(ticker)
	}
}

/**
 * Runs the simulation and returns its account (see account.mjs).
 *
 * @param {{ store: 'file' | 'folder', watchers: number, seconds: number, program?: string, withoutLock?: boolean,
 *   signal?: AbortSignal,
 *   onEvent?: (event: { seconds: number, who: string, text: string }) => void }} options
 *   `program`: what runs the watchers, if not what runs this.
 */
export const simulate = async ({ program, signal, onEvent = () => {}, ...options }) => {
	signal?.throwIfAborted()
	const over = new AbortController()
	const interrupt = () => over.abort(signal.reason)
	signal?.addEventListener('abort', interrupt)
	const dir = await mkdtemp(join(tmpdir(), 'argus-playground-'))
	const { store, withoutLock } = options
	const scene = createScene({ dir, store, over, program, withoutLock, onEvent })
	try {
		return await play(scene, options)
	} catch (error) {
		// What fails after an end of everything fails because of it.
		throw over.signal.aborted ? over.signal.reason : error
	} finally {
		over.abort()
		signal?.removeEventListener('abort', interrupt)
		await scene.stop()
		await rm(dir, { recursive: true, force: true, maxRetries: 5 })
	}
}
