// One operation of the package, for tests that kill it or fail its calls: `one_operation.mjs NAME PATH`.
// tests/fixtures/one_operation.rs is its counterpart for Rust, and says how a test speaks to it.

import { readSync, writeSync } from 'node:fs'
import * as argus from '../../../index.js'

const [name, path] = process.argv.slice(2)
const [STDIN, STDOUT] = [0, 1]

/** No other process has the lock, so what waits longer than this waits for nothing. */
const options = { timeoutMs: 500 }
const fast = { ...options, durable: false }
const ownPid = { pid: process.pid, startedAt: Date.now() }
const watcher = (id) => ({ id, host: '127.0.0.1', port: 9222, ...ownPid, updatedAt: Date.now() })

const enter = (id) => (registry) => {
	registry.watchers[id] = watcher(id)
	return registry
}
const changeSeveral = (registry) => {
	enter('new')(registry)
	enter('new-2')(registry)
	if (registry.watchers.changed) registry.watchers.changed.port = 9333
	delete registry.watchers.removed
	delete registry.watchers['removed-too']
	return registry
}
const document = new argus.Document(path, { empty: () => ({ count: 0 }) })
const countUp = (value) => {
	value.count += 1
	return value
}
const entryOf = (id) => argus.readRegistrySync(path).registry.watchers[id]
const must = (isTrue, what) => {
	if (!isTrue) throw new Error(what)
}
// What is kept of bad content is looked for in the folder.
process.on('warning', () => {})

/** What a process has done before, for operations that are not its first. */
const warmUp = async () => {
	if (!name.endsWith('-warm')) return
	for (let round = 0; round < 3; round += 1) await argus.updateRegistry(path, enter('warm'), fast)
}

/**
 * Updates that are asked for at once: they share a commit, or have one each. The first failure is thrown when all have
 * ended, and its message begins with those that were acknowledged.
 */
const updateAll = async (ids) => {
	const calls = ids.map((id) => argus.updateRegistry(path, enter(id), options))
	const settled = await Promise.allSettled(calls)
	const failure = settled.find(({ status }) => status === 'rejected')
	if (!failure) return
	const acknowledged = ids.filter((_, index) => settled[index].status === 'fulfilled')
	failure.reason.message = `acknowledged ${acknowledged.join(' ')}; ${failure.reason.message}`
	throw failure.reason
}

const operations = {
	updateRegistry: () => argus.updateRegistry(path, enter('new'), options),
	'updateRegistry-several': () => argus.updateRegistry(path, changeSeveral, options),
	'updateRegistry-warm': () => argus.updateRegistry(path, enter('new'), options),
	'updateRegistry-fast': () => argus.updateRegistry(path, enter('new'), fast),
	'updateRegistry-async-updater': () =>
		argus.updateRegistry(path, async (registry) => enter('new')(registry), options),
	'updateRegistry-batch': () => updateAll(['new-1', 'new-2', 'new']),
	updateRegistrySync: () => argus.updateRegistrySync(path, enter('new'), options),
	'updateRegistrySync-warm': () => argus.updateRegistrySync(path, enter('new'), options),
	announceWatcher: () => argus.announceWatcher(path, watcher('new'), options),
	'announceWatcher-warm': () => argus.announceWatcher(path, watcher('new'), options),
	claimWatcher: async () => {
		const claimed = await argus.claimWatcher(path, watcher('old'), options)
		must(claimed.claim.id === 'old-2', `claimed ${claimed.claim.id}`)
	},
	heartbeatWatcher: async () =>
		must(await argus.heartbeatWatcher(path, entryOf('old'), options), 'the entry is gone'),
	removeWatcher: async () =>
		must(await argus.removeWatcher(path, 'old', options), 'there was no entry'),
	pruneStaleWatchers: async () => {
		const pruned = await argus.pruneStaleWatchers(path, options)
		must(pruned.length === 1, `pruned ${pruned.length}`)
	},
	writeRegistry: async () => {
		const { registry } = await argus.readRegistry(path)
		enter('new')(registry)
		await argus.writeRegistry(path, registry, options)
	},
	readRegistry: () => argus.readRegistry(path),
	inspectLock: () => argus.inspectLock(path),
	withRegistryLock: () => argus.withRegistryLock(path, () => {}, options),
	watchRegistry: async () => {
		const watch = argus.watchRegistry(path)
		await watch.next()
		await watch.return()
	},
	'Document.load': () => document.load(options),
	'Document.save': () => document.save({ count: 2 }, options),
	'Document.update': () => document.update(countUp, options),
}

const say = (line) => writeSync(STDOUT, `${line.replaceAll('\n', ' ')}\n`)

const readLine = () => {
	const bytes = Buffer.alloc(100)
	return bytes.toString('utf8', 0, readSync(STDIN, bytes))
}

const report = async (operate) => {
	try {
		await operate()
	} catch (error) {
		const code = error instanceof argus.RegistryError ? error.code : 'UNTYPED'
		return say(`failed ${code} ${error.message}`)
	}
	return say('ok')
}

await warmUp()
say('ready')
readLine()
await report(operations[name])
const order = readLine()
if (order === 'again registry\n' || order === 'again folder\n')
	await report(() => argus.updateRegistry(path, enter('again'), fast))
if (order === 'again document\n') await report(() => document.update(countUp, options))
