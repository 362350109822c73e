// Containers that share a registry with each other and with the machine around them. What a pid means
// in which namespace is tested in tests/it/registry/pid_namespaces.rs; here, that the functions of this
// package go by it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import {
	announceWatcher,
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	startRegistryHeartbeat,
} from '../../index.js'
import { EMPTY, folder, print, record } from '../support/folder.mjs'
import { pidScope, seesAllProcesses } from '../support/pid-scope.mjs'
import { deadPid, script } from '../support/processes.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'

/** How pid namespaces are made here, as root or without rights; undefined where they can't be. */
const unshare = [['--pid'], ['--user', '--map-root-user', '--pid']]
	.map((flags) => ['unshare', ...flags, '--fork', '--kill-child', '--mount-proc'])
	.find(([file, ...args]) => spawnSync(file, [...args, 'true']).status === 0)

const noNamespaces = skipIf(!unshare, '`unshare --pid` fails here, as root and with `--user`')
const nested = skipIf(!seesAllProcesses, 'this process is in a pid namespace of its own')

/** A command in a new namespace, with a certain pid there. */
const inNamespace = (pid) => (command) => [
	...unshare,
	'sh',
	'-c',
	'echo $(($0 - 1)) > /proc/sys/kernel/ns_last_pid && "$@"; exit $?',
	String(pid),
	...command,
]

const withoutScope = ({ pidScope: _, ...watcher }) => watcher

const watcherText = `{ id: 'app', host: '127.0.0.1', port: 1, pid: process.pid,
	startedAt: Date.now(), updatedAt: Date.now() }`

test('a watcher in a container keeps its id from processes outside', {
	skip: noNamespaces || nested,
}, async (t) => {
	const at = folder(t)
	const pid = await deadPid()
	const container = script(
		t,
		`await registry.announceWatcher(${JSON.stringify(at.path)}, ${watcherText})
		console.log(process.pid)
		setInterval(() => {}, 1_000)`,
		{ wrap: inNamespace(pid) },
	)
	assert.equal(await container.line(), String(pid))
	const { app } = at.json().watchers
	assert.deepEqual([app.pid, app.pidScope.pid, app.pidScope.boot], [pid, pid, pidScope().boot])
	assert.notEqual(app.pidScope.namespace, pidScope().namespace)
	assert.deepEqual(await pruneStaleWatchers(at.path, { liveness: true }), [])
	assert.equal((await claimWatcher(at.path, record('app'))).claim.id, 'app-2')
	await assert.rejects(claimWatcher(at.path, record('app'), { suffix: false }), {
		code: 'ID_TAKEN',
	})
	assert.deepEqual(at.json().watchers.app, app)
	assert.deepEqual(at.ids(), ['app', 'app-2'])
})

test('a watcher outside keeps its id from processes in a container', {
	skip: noNamespaces,
}, async (t) => {
	const at = folder(t)
	for (const app of [record('app'), withoutScope(record('app'))]) {
		at.put(print({ ...EMPTY, watchers: { app } }))
		const seen = run(
			`const path = ${JSON.stringify(at.path)}
			const pruned = await registry.pruneStaleWatchers(path, { liveness: true })
			const { claim, watcher } = await registry.claimWatcher(path, ${watcherText})
			console.log(JSON.stringify({ pruned, id: claim.id, scope: watcher.pidScope }))`,
			{ wrap: inNamespace(await deadPid()) },
		)
		assert.deepEqual([seen.pruned, seen.id], [[], 'app-2'])
		assert.equal(seen.scope.machine, undefined)
		assert.deepEqual(at.json().watchers.app, app)
	}
})

test('an entry that can’t be judged is replaced by a claim when it is expired', async (t) => {
	const at = folder(t)
	const now = Date.now()
	const elsewhere = { pid: process.pid, boot: 'another', namespace: 1 }
	const app = record('app', { updatedAt: now - 60_000, pidScope: elsewhere })
	at.put(print({ ...EMPTY, watchers: { app } }))
	const claimed = async (options) =>
		(await claimWatcher(at.path, record('app'), { now, ...options })).claim.id
	assert.equal(await claimed(), 'app-2')
	assert.equal(await claimed({ now: now + 1, ttlMs: Number.POSITIVE_INFINITY }), 'app-3')
	assert.equal(await claimed({ now: now + 1, liveness: false }), 'app-4')
	assert.equal(await claimed({ now: now + 1 }), 'app')
	for (const ttlMs of ['7', -1, Number.NaN]) {
		await assert.rejects(claimed({ ttlMs }), { code: 'INVALID_VALUE' })
	}
})

test('a watcher’s own process writes the scope of its pid', async (t) => {
	const at = folder(t)
	const watcher = withoutScope(record('app'))
	const { id, pid, startedAt } = watcher
	const scope = () => at.json().watchers.app.pidScope
	const enters = [
		() => announceWatcher(at.path, watcher),
		() => claimWatcher(at.path, watcher),
		() => heartbeatWatcher(at.path, watcher),
		() => heartbeatWatcher(at.path, { id, pid, startedAt }),
		() => announceWatcher(at.path, { ...watcher, pidScope: { pid, boot: 'b', machine: 'm' } }),
		async () => {
			const onError = (error) => assert.fail(error)
			const heartbeat = startRegistryHeartbeat(at.path, () => watcher, { intervalMs: 1, onError })
			while (!scope()) await new Promise((resolve) => setTimeout(resolve, 1))
			await heartbeat.stop()
		},
	]
	for (const [index, enter] of enters.entries()) {
		const watchers = index === 1 ? {} : { app: watcher }
		at.put(print({ ...EMPTY, watchers }))
		await enter()
		assert.deepEqual(scope(), pidScope(), String(index))
	}
	// Another process can't know it, nor can one that renews an entry by its id alone.
	await announceWatcher(at.path, { ...watcher, pid: pid + 1 })
	assert.equal(scope(), undefined)
	at.put(print({ ...EMPTY, watchers: { app: watcher } }))
	assert.equal(await heartbeatWatcher(at.path, 'app'), true)
	assert.equal(scope(), undefined)
})
