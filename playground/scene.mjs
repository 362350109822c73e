// What a run is played with: the registry's folder, the processes, what they reported.

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readRegistrySync } from '../index.js'
import { isUpdate, latencyOf } from './account.mjs'
import { clock } from './clock.mjs'
import { createCrew } from './crew.mjs'
import { participant } from './participant.mjs'
import { watcherIds } from './trace.mjs'

/** 15 s in real life. */
const BEAT_MS = 50
/** As often as the beats, which come a bit sooner each: so they meet in every order. */
const UPDATE_MS = 50
/** 10 s in real life. */
export const STALE_MS = 500
/** Well over the freeze, so that those who wait for the frozen one are not pruned meanwhile. */
export const TTL_MS = 2_500
const PRUNE_MS = 100
/** No update is to fail because of the freeze. */
const TIMEOUT_MS = 30_000

const FIRST_PORT = 9_001

/** The registry of each store. The path decides which it is: that of a folder ends in a separator. */
export const STORES = { file: ['registry.json'], folder: ['registry', '/'] }

export const ms = (value) => `${value.toFixed(1)} ms`

/** `over` ends everything when it aborts, and is aborted by a process that fails. */
export const createScene = ({ dir, store, over, program, withoutLock, onEvent }) => {
	const { signal } = over
	const path = join(dir, ...STORES[store])
	const options = { timeoutMs: TIMEOUT_MS, staleMs: STALE_MS }
	const settings = { path, options, withoutLock }
	const startedAt = clock()
	const reports = []
	const running = new Set()
	let nextPort = FIRST_PORT

	const say = (who, text) => onEvent({ seconds: (clock() - startedAt) / 1e3, who, text })

	const showReport = ({ id, pid, what, error, claim, isLost, pruned, ...report }) => {
		const took = ms(report.endedAt - report.startedAt)
		if (isLost) return say(id, `found its entry ${claim.id} gone`)
		if (error) return say(id, `could not ${what}: ${error}`)
		if (what === 'claim') say(id, `process ${pid} announced as ${claim.id} after ${took}`)
		if (what === 'leave') say(id, `left after ${took}`)
		for (const { id: entry, reason } of pruned ?? []) say(id, `pruned ${entry}: ${reason}`)
	}

	const onReport = (report) => {
		reports.push(report)
		showReport(report)
		if (report.error) return
		if (report.what === 'claim') running.add(report.id)
		if (report.what === 'leave') running.delete(report.id)
	}

	const crew = createCrew({ signal, onReport, onFailure: (error) => over.abort(error) })

	let seen = 0
	const sayPace = () => {
		const news = reports.slice(seen).filter(({ error }) => !error)
		seen = reports.length
		const updates = news.filter(isUpdate)
		const beats = news.filter(({ what }) => what === 'beat')
		const { p50, max } = latencyOf(updates)
		const pace = updates.length > 0 ? `, p50 ${ms(p50)}, longest ${ms(max)}` : ''
		const entries = watcherIds(readRegistrySync(path).registry).length
		say('updates', `${updates.length}${pace}; ${beats.length} beats`)
		say('watchers', `${running.size} running, ${entries} in the registry`)
	}

	return {
		path,
		reports,
		say,
		tick: () => {
			try {
				sayPace()
			} catch (error) {
				// Thrown from a timer it would end this process alone, not its children.
				over.abort(error)
			}
		},
		stop: crew.stop,
		pause: (pauseMs) => delay(pauseMs, undefined, { signal }),
		/** An update of this process itself. */
		onlook: participant({ ...settings, id: 'onlooker', options: { ...options, signal } }, onReport),
		/** A watcher process that is ready to ask for that id. */
		startWatcher: async (id, { asksFor, host }) => {
			const port = nextPort
			nextPort += 1
			const own = { id, asksFor, host, port, beatMs: BEAT_MS, updateMs: UPDATE_MS }
			const watcher = crew.start('watcher.mjs', { ...settings, ...own }, program)
			const { runtime } = await watcher.next('ready')
			return { ...watcher, runtime }
		},
		/** Resolves with the watcher's claim. */
		announce: async (watcher) => {
			const claimed = watcher.next('claim')
			watcher.order('start')
			return (await claimed).claim
		},
		/** Resolves when the watcher is inside an update, and stays there. */
		holdBy: async (watcher, how) => {
			const holding = watcher.next('holding')
			watcher.order('hold', { how })
			return { id: watcher.id, ...(await holding) }
		},
		startPruner: () =>
			crew.start('pruner.mjs', { ...settings, id: 'pruner', pruneMs: PRUNE_MS, ttlMs: TTL_MS }),
		kill: (watcher) => {
			watcher.kill()
			running.delete(watcher.id)
		},
	}
}
