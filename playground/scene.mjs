// What a run is played with: the registry's folder, the processes, what they reported.

import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readRegistrySync } from '../index.js'
import { latencyOf } from './account.mjs'
import { createCrew } from './crew.mjs'
import { clock, participant } from './participant.mjs'

/** 15 s in real life. */
const BEAT_MS = 50
/** 10 s in real life. */
export const STALE_MS = 500
/** Well over the freeze, so that those who wait for the frozen one are not pruned meanwhile. */
const TTL_MS = 2_500
const PRUNE_MS = 100
/** No update is to fail because of the freeze. */
const TIMEOUT_MS = 30_000

const FIRST_PORT = 9_001

export const ms = (value) => `${value.toFixed(1)} ms`

/** `over` ends everything when it aborts, and is aborted by a process that fails. */
export const createScene = ({ dir, over, withoutLock, onEvent }) => {
	const { signal } = over
	const path = join(dir, 'registry.json')
	const options = { timeoutMs: TIMEOUT_MS, staleMs: STALE_MS }
	const settings = { path, options, withoutLock }
	const startedAt = clock()
	const reports = []
	const running = new Set()
	let nextPort = FIRST_PORT

	const say = (who, text) => onEvent({ seconds: (clock() - startedAt) / 1e3, who, text })

	const showReport = ({ id, pid, what, error, missing, pruned, ...report }) => {
		const took = ms(report.endedAt - report.startedAt)
		if (error) return say(id, `could not ${what}: ${error}`)
		if (missing) say(id, 'found its entry gone, and entered it again')
		if (what === 'announce') say(id, `process ${pid} announced after ${took}`)
		if (what === 'leave') say(id, `left after ${took}`)
		if (pruned?.length > 0) say(id, `pruned ${pruned.join(', ')}`)
	}

	const onReport = (report) => {
		reports.push(report)
		showReport(report)
		if (report.error) return
		if (report.what === 'announce') running.add(report.id)
		if (report.what === 'leave') running.delete(report.id)
	}

	const crew = createCrew({ signal, onReport, onFailure: (error) => over.abort(error) })

	let seen = 0
	const sayHeartbeats = () => {
		const beats = reports.slice(seen).filter(({ what, error }) => what === 'heartbeat' && !error)
		seen = reports.length
		const { p50, max } = latencyOf(beats)
		const pace = beats.length > 0 ? `, p50 ${ms(p50)}, longest ${ms(max)}` : ''
		const entries = Object.keys(readRegistrySync(path).registry.watchers).length
		say('heartbeats', `${beats.length}${pace}; ${running.size} running, ${entries} in the file`)
	}

	return {
		path,
		reports,
		say,
		tick: () => {
			try {
				sayHeartbeats()
			} catch (error) {
				// Thrown from a timer it would end this process alone, not its children.
				over.abort(error)
			}
		},
		stop: crew.stop,
		pause: (pauseMs) => delay(pauseMs, undefined, { signal }),
		/** An update of this process itself. */
		onlook: participant({ ...settings, id: 'onlooker', options: { ...options, signal } }, onReport),
		startWatcher: async (id) => {
			const port = nextPort
			nextPort += 1
			const watcher = crew.start('watcher.mjs', { ...settings, id, port, beatMs: BEAT_MS })
			await watcher.next('ready')
			return watcher
		},
		announce: async (watcher) => {
			const announced = watcher.next('announce')
			watcher.order('start')
			await announced
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
