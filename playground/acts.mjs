// What is done to holders of the lock: killed, and frozen.

import { inspectLock } from '../index.js'
import { clock } from './clock.mjs'
import { ms, STALE_MS } from './scene.mjs'

/** Past the stale threshold, twice. */
const FREEZE_MS = 2 * STALE_MS

/** How a victim holds the lock; watcher.mjs does it. */
const HOLDS = {
	waiting: 'while its updater waits',
	blocked: 'while its updater blocks the event loop',
	committing: 'while it commits one update after the other',
}

/** Of the updates that got in after the kill, the one that was acknowledged first. */
const firstAfter = (releasedAt, victim, reports) =>
	reports
		.filter(({ id, insideAt, error }) => id !== victim.id && insideAt > releasedAt && !error)
		.sort((one, other) => one.endedAt - other.endedAt)[0]

/** Kills a holder. The onlooker asks for the lock at once, so that one process does. */
export const killHolder = async (scene, id, { how, host }) => {
	const { announce, holdBy, kill, onlook, reports, say, startWatcher } = scene
	const victim = await startWatcher(id, { asksFor: id, host })
	await announce(victim)
	const hold = await holdBy(victim, how)
	const releasedAt = clock()
	kill(victim)
	say(id, `killed with SIGKILL ${HOLDS[how]}`)
	await Promise.all([victim.ended, onlook('look')])
	const first = firstAfter(releasedAt, victim, reports)
	const took = first ? first.endedAt - releasedAt : null
	if (first) say(first.id, `took over from ${id} and committed ${ms(took)} after the kill`)
	return { hold: { ...hold, releasedAt }, how, by: first?.id ?? null, ms: took }
}

/** Freezes a holder past the stale threshold, with the onlooker waiting beside all others. */
export const freezeHolder = async (scene, watcher) => {
	const { holdBy, onlook, path, pause, say } = scene
	const { id, pid } = watcher
	const hold = await holdBy(watcher, 'waiting')
	watcher.signal('SIGSTOP')
	const frozenAt = clock()
	say(id, `frozen with SIGSTOP while it holds the lock; stale after ${STALE_MS} ms`)
	const looked = onlook('look')
	await pause(FREEZE_MS)
	const { state, holder } = await inspectLock(path, { staleMs: STALE_MS })
	say('onlooker', `sees the lock ${state}${holder ? ` by process ${holder.pid}` : ''}`)
	const beat = watcher.next('update')
	const releasedAt = clock()
	watcher.signal('SIGCONT')
	say(id, `woken after ${ms(releasedAt - frozenAt)}`)
	watcher.order('settle')
	const report = await beat
	if (!report.error) say(id, 'committed the update it was frozen in')
	await looked
	const held = state === 'held' && holder.pid === pid
	return { hold: { ...hold, releasedAt }, frozenAt, report, held }
}
