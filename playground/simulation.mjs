// One run: watchers that announce themselves, heartbeat and leave, a pruner beside them, holders
// that are killed and one that is frozen. Whatever has to come in order waits for messages; time
// is only the pace of heartbeats and the length of the run.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readRegistry } from '../index.js'
import { settleAccount } from './account.mjs'
import { freezeHolder, killHolder } from './acts.mjs'
import { clock } from './participant.mjs'
import { createScene } from './scene.mjs'

/** What happens in the course of a run: how a victim holds the lock, or a freeze. */
const ACTS = ['waiting', 'blocked', 'committing', 'freeze', 'waiting', 'blocked', 'committing']

const canFreeze = process.platform !== 'win32'

/** All at the same moment; then everybody has to be in the file. Resolves with who is not. */
const openWith = async ({ announce, path, say }, all) => {
	say('playground', `${all.length} watchers are ready, and start at the same moment`)
	await Promise.all(all.map(announce))
	const { registry } = await readRegistry(path)
	const absent = all.map(({ id }) => id).filter((id) => !Object.hasOwn(registry.watchers, id))
	say('playground', `${all.length - absent.length} of ${all.length} are in the file`)
	return absent
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
		if (act !== 'freeze') played.kills.push(await killHolder(scene, victim, act))
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
	const all = await Promise.all(ids.map(scene.startWatcher))
	const absent = await openWith(scene, all)
	const pruner = scene.startPruner()
	const ticker = setInterval(scene.tick, 1_000)
	try {
		const played = await playActs(scene, seconds, all[0])
		const reads = await close(all, pruner)
		const { registry } = await readRegistry(scene.path)
		return settleAccount({ ...played, absent, reads, registry, reports: scene.reports, watchers })
	} finally {
		clearInterval(ticker)
	}
}

/**
 * Runs the simulation and returns its account (see account.mjs).
 *
 * @param {{ watchers: number, seconds: number, withoutLock?: boolean, signal?: AbortSignal,
 *   onEvent?: (event: { seconds: number, who: string, text: string }) => void }} options
 */
export const simulate = async ({ signal, onEvent = () => {}, ...options }) => {
	signal?.throwIfAborted()
	const over = new AbortController()
	const interrupt = () => over.abort(signal.reason)
	signal?.addEventListener('abort', interrupt)
	const dir = await mkdtemp(join(tmpdir(), 'argus-playground-'))
	const scene = createScene({ dir, over, withoutLock: options.withoutLock, onEvent })
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
