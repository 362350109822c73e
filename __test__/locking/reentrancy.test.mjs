// Updates of one registry inside of each other are refused, and synchronous ones beside
// asynchronous ones.

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { unlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join, relative, sep } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
	readRegistrySync,
	updateRegistry,
	updateRegistrySync,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { EMPTY, folder, lockTakenOnce, print } from '../support/folder.mjs'
import { UP_TO_A_MINUTE } from '../support/options.mjs'
import { same } from '../support/updaters.mjs'

const reEntrant = { name: 'RegistryError', code: 'RE_ENTRANT' }

test('a nested update of one registry fails at once, at any depth, sync or async', async (t) => {
	const at = folder(t)
	const other = `${at.dir}/other.json`
	const nestedCalls = [
		() => updateRegistry(at.path, same, UP_TO_A_MINUTE),
		() => writeRegistry(at.path, EMPTY, UP_TO_A_MINUTE),
		() => withRegistryLock(at.path, () => {}, UP_TO_A_MINUTE),
		async () => updateRegistrySync(at.path, same, UP_TO_A_MINUTE),
		() =>
			updateRegistry(
				other,
				async (registry) => {
					await updateRegistry(at.path, same, UP_TO_A_MINUTE)
					return registry
				},
				UP_TO_A_MINUTE,
			),
		() =>
			updateRegistry(
				other,
				() => updateRegistrySync(at.path, same, UP_TO_A_MINUTE),
				UP_TO_A_MINUTE,
			),
	]
	for (const nested of nestedCalls) {
		await updateRegistry(
			at.path,
			async (registry) => {
				await assert.rejects(nested(), reEntrant)
				await delay(1)
				await assert.rejects(nested(), reEntrant)
				return registry
			},
			UP_TO_A_MINUTE,
		)
		await withRegistryLock(at.path, () => assert.rejects(nested(), reEntrant), UP_TO_A_MINUTE)
	}
	updateRegistrySync(at.path, (registry) => {
		assert.throws(() => updateRegistrySync(at.path, same, UP_TO_A_MINUTE), reEntrant)
		return registry
	})
})

/** Other ways to write the path of a file; letter case tells no names apart on Windows and macOS. */
const spellingsOf = ({ dir, path }) => [
	`${dir}${sep}.${sep}${basename(path)}`,
	`${dir}${sep}${sep}${basename(path)}`,
	relative(process.cwd(), path),
	...(['win32', 'darwin'].includes(process.platform) ? [join(dir, 'REGISTRY.json')] : []),
	...(process.platform === 'win32' ? [`${dir}/${basename(path)}`] : []),
]

for (const isThere of [false, true]) {
	test(`all spellings of a registry that is ${isThere ? '' : 'not '}there are one: nested updates are refused, others queue`, async (t) => {
		for (const index of spellingsOf(folder(t)).keys()) {
			const at = folder(t)
			const spelling = spellingsOf(at)[index]
			if (isThere) await writeRegistry(at.path, EMPTY, UP_TO_A_MINUTE)
			await updateRegistry(
				at.path,
				async (registry) => {
					await assert.rejects(updateRegistry(spelling, same, UP_TO_A_MINUTE), reEntrant, spelling)
					return registry
				},
				UP_TO_A_MINUTE,
			)
			const order = []
			const first = updateRegistry(at.path, async (registry) => {
				order.push('first begins')
				await delay(5)
				order.push('first ends')
				return registry
			})
			const second = updateRegistry(spelling, (registry) => {
				order.push('second')
				return registry
			})
			await Promise.all([first, second])
			assert.deepEqual(order, ['first begins', 'first ends', 'second'], spelling)
		}
	})
}

test('the error of a nested update says what to do instead, and not to wait for the update around it', async (t) => {
	const at = folder(t)
	const refused = { ...reEntrant, message: /change the value/ }
	await updateRegistry(
		at.path,
		async (registry) => {
			await assert.rejects(updateRegistry(at.path, same, UP_TO_A_MINUTE), refused)
			assert.throws(() => updateRegistrySync(at.path, same, UP_TO_A_MINUTE), refused)
			return registry
		},
		UP_TO_A_MINUTE,
	)
	updateRegistrySync(at.path, (registry) => {
		assert.throws(() => updateRegistrySync(at.path, same, UP_TO_A_MINUTE), refused)
		return registry
	})
})

test('an updater may update another registry', async (t) => {
	const at = folder(t)
	const others = [1, 2, 3].map((index) => `${at.dir}/other-${index}.json`)
	const touch = (registry) => ({ ...registry, updatedAt: 7 })
	await updateRegistry(
		at.path,
		async (registry) => {
			await updateRegistry(others[0], touch, UP_TO_A_MINUTE)
			updateRegistrySync(others[1], touch, UP_TO_A_MINUTE)
			return registry
		},
		UP_TO_A_MINUTE,
	)
	updateRegistrySync(at.path, (registry) => {
		updateRegistrySync(others[2], touch, UP_TO_A_MINUTE)
		return registry
	})
	for (const other of others) assert.equal(readRegistrySync(other).registry.updatedAt, 7)
})

test('a sync update inside a sync update is refused in any async context', async (t) => {
	const at = folder(t)
	const elsewhere = AsyncLocalStorage.snapshot()
	updateRegistrySync(at.path, (registry) => {
		const nested = () => elsewhere(() => updateRegistrySync(at.path, same, UP_TO_A_MINUTE))
		assert.throws(nested, reEntrant)
		return registry
	})
})

test('two copies of the package in one thread see each other’s updates', async (t) => {
	const at = folder(t)
	const require = createRequire(import.meta.url)
	const loaded = Object.keys(require.cache).filter((file) => file.endsWith('.js'))
	const first = require('../../index.js')
	for (const file of loaded) delete require.cache[file]
	const second = require('../../index.js')
	assert.notEqual(second.updateRegistrySync, first.updateRegistrySync)
	await first.updateRegistry(
		at.path,
		async (registry) => {
			await assert.rejects(second.updateRegistry(at.path, same, UP_TO_A_MINUTE), reEntrant)
			assert.throws(() => second.updateRegistrySync(at.path, same, UP_TO_A_MINUTE), reEntrant)
			return registry
		},
		UP_TO_A_MINUTE,
	)
})

test('code that an updater started may update the registry when the updater is done', async (t) => {
	const at = folder(t)
	let late
	await updateRegistry(
		at.path,
		(registry) => {
			late = new Promise((resolve) => setTimeout(resolve, 20)).then(() =>
				updateRegistry(at.path, (r) => ({ ...r, late: true }), UP_TO_A_MINUTE),
			)
			return registry
		},
		UP_TO_A_MINUTE,
	)
	await late
	assert.equal(at.json().late, true)
})

test('code that a sync updater started may update the registry when the updater is done', async (t) => {
	const at = folder(t)
	let late
	updateRegistrySync(at.path, (registry) => {
		late = Promise.resolve().then(() =>
			updateRegistry(at.path, (r) => ({ ...r, late: true }), UP_TO_A_MINUTE),
		)
		return registry
	})
	await late
	assert.equal(at.json().late, true)
})

test('a sync update waits for an async one that has only to be committed', async (t) => {
	const at = folder(t)
	let sync
	const updating = updateRegistry(
		at.path,
		(registry) => {
			sync = new Promise((resolve) => setImmediate(resolve)).then(() =>
				updateRegistrySync(at.path, (r) => ({ ...r, sawAsync: r.async === true }), UP_TO_A_MINUTE),
			)
			return { ...registry, async: true }
		},
		UP_TO_A_MINUTE,
	)
	await updating
	await sync
	assert.equal(at.json().sawAsync, true)
})

test('a sync update fails at once while an async one of the thread is under way', async (t) => {
	const at = folder(t)
	const waiting = updateRegistry(at.path, same, UP_TO_A_MINUTE)
	assert.throws(() => updateRegistrySync(at.path, same, UP_TO_A_MINUTE), reEntrant)
	await waiting
	let settle
	const holding = updateRegistry(
		at.path,
		(registry) =>
			new Promise((resolve) => {
				settle = () => resolve(registry)
			}),
		UP_TO_A_MINUTE,
	)
	while (!settle) await delay(1)
	assert.throws(() => updateRegistrySync(at.path, same, UP_TO_A_MINUTE), reEntrant)
	settle()
	await holding
	updateRegistrySync(at.path, same, { timeoutMs: 0 })
})

test('a write that lost its lock needs its thread again: a sync update is refused', async (t) => {
	const at = folder(t)
	const aborter = new AbortController()
	const isRobbed = lockTakenOnce(t, at, () => writeFileSync(at.lockfile, ''))
	let settled = false
	const writing = writeRegistry(at.path, EMPTY, { ...UP_TO_A_MINUTE, signal: aborter.signal })
	writing.catch(() => {}).finally(() => (settled = true))
	const refusal = () => {
		try {
			updateRegistrySync(at.path, same, { timeoutMs: 0 })
		} catch ({ code }) {
			return code
		}
	}
	while (!isRobbed()) await new Promise(setImmediate)
	// Busy while the commit is under way, which needs no thread.
	let code = refusal()
	while (code === 'LOCK_BUSY' && !settled) {
		await new Promise(setImmediate)
		code = refusal()
	}
	assert.equal(code, 'RE_ENTRANT')
	aborter.abort()
	await assert.rejects(writing, { code: 'ABORTED' })
})

/** Calls synchronously, at each turn of the microtasks, until it is not refused as re-entrant; says what came of it. */
const atFirstChance = async (at) => {
	for (let turn = 1; ; turn += 1) {
		try {
			updateRegistrySync(at.path, (r) => ({ ...r, sync: true }), { timeoutMs: 500, durable: false })
			return 'done'
		} catch (error) {
			if (error.code !== 'RE_ENTRANT') return error.code
		}
		// The asynchronous call may need a turn of the event loop to get on.
		await (turn % 100 === 0 ? delay(0) : undefined)
	}
}

for (const [what, change] of Object.entries({
	'changed nothing': (registry) => registry,
	'has failed': () => {
		throw new Error('on purpose')
	},
	'has written': (registry) => ({ ...registry, async: true }),
})) {
	// The lock was released one turn of the microtasks after the call counted as over: a synchronous call that
	// began in between waited, on this thread, for the lock that only this thread could release.
	test(`a synchronous update right behind an asynchronous one that ${what} does not wait for it`, async (t) => {
		const at = folder(t)
		for (const durable of [false, true]) {
			at.put(print(EMPTY))
			let outcome
			const update = (registry) => {
				outcome = atFirstChance(at)
				return change(registry)
			}
			await updateRegistry(at.path, update, { durable, timeoutMs: 60_000 }).catch(() => {})
			assert.equal(await outcome, 'done')
		}
	})
}

// The thread that commits left it to this one to release the lock of a commit that had failed.
test('a synchronous update that begins during a commit that fails does not wait for it', async (t) => {
	const at = folder(t)
	at.put(print(EMPTY))
	let outcome
	const update = (registry) => {
		if (!outcome) {
			outcome = atFirstChance(at)
			unlinkSync(at.lockfile)
		}
		return { ...registry, async: true }
	}
	await updateRegistry(at.path, update, { durable: true, timeoutMs: 60_000 })
	assert.equal(await outcome, 'done')
	assert.deepEqual([at.json().sync, at.json().async], [true, true])
})
