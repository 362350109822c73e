// What a document is: its path, its lock file, its options, its schema version, and how it is written.

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, statSync, symlinkSync, unlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { Document, RegistryError, updateRegistry } from '../../index.js'
import native from '../../lib/addon/load.js'
import { cleanUp } from '../support/cleanup.mjs'
import {
	documentFolder,
	documentIn,
	LOCKS,
	lines,
	lists,
	loads,
	namesIn,
	push,
	updates,
	writes,
} from '../support/documents.mjs'
import { caught } from '../support/failures.mjs'
import { folder, print } from '../support/folder.mjs'
import { DOCUMENT_UP_TO_A_MINUTE } from '../support/options.mjs'
import { run } from '../support/script.mjs'
import { skipIf } from '../support/skip.mjs'
import { same } from '../support/updaters.mjs'

const refused = { name: 'RegistryError', code: 'INVALID_VALUE' }

const isWindows = process.platform === 'win32'

const modeOf = (path) => statSync(path).mode & 0o777

/** Runs with another current folder. */
const within = async (dir, body) => {
	const before = process.cwd()
	process.chdir(dir)
	try {
		return await body()
	} finally {
		process.chdir(before)
	}
}

test('a relative path, and that of a lock file, count from the folder that is current at construction', async (t) => {
	const at = folder(t)
	mkdirSync(join(at.dir, 'here'))
	mkdirSync(join(at.dir, 'there'))
	const [document, withLockFile] = await within(join(at.dir, 'here'), () => [
		new Document('config.json', lists),
		new Document('other.json', { ...lists, lockFile: 'shared.lock' }),
	])
	await within(join(at.dir, 'there'), async () => {
		assert.equal(document.path, join(at.dir, 'here', 'config.json'))
		assert.equal(document.lockPath(), join(at.dir, 'here', 'config.lock'))
		assert.equal(withLockFile.lockPath(), join(at.dir, 'here', 'shared.lock'))
		for (const each of [document, withLockFile]) {
			await each.update(push('a'))
			each.updateSync(push('b'))
			assert.deepEqual(await each.load(), { value: ['a', 'b'], locked: true })
		}
	})
	assert.deepEqual(namesIn({ dir: join(at.dir, 'there') }), [])
	assert.deepEqual(namesIn({ dir: join(at.dir, 'here') }), [
		'config.json',
		'config.lock',
		'other.json',
		'shared.lock',
	])
})

/**
 * `resolve` of node:path takes `link/..` for the folder of the link. The system takes it for the folder
 * above what the link leads to, and so do Rust's documents.
 */
test('a path leads where the system says, with a link and .. in it', {
	skip: skipIf(isWindows, 'Windows resolves .. before it looks at links'),
}, async (t) => {
	const at = folder(t)
	mkdirSync(join(at.dir, 'real', 'deep'), { recursive: true })
	symlinkSync(join('real', 'deep'), join(at.dir, 'link'))
	const real = join(at.dir, 'real', 'config.json')
	const document = new Document(`${at.dir}/link/../config.json`, lists)
	await document.save(['a'])
	assert.deepEqual(JSON.parse(readFileSync(real, 'utf8')), ['a'])
	assert.equal(document.lockPath(), join(at.dir, 'real', 'config.lock'))
	const registry = `${at.dir}/link/../registry.json`
	await updateRegistry(registry, (value) => ({ ...value, updatedAt: 1 }))
	assert.equal(documentIn({ path: registry }, 'registry').loadSync().value.updatedAt, 1)
	const lockFile = `${at.dir}/link/../shared.lock`
	assert.equal(new Document(real, { lockFile }).lockPath(), join(at.dir, 'real', 'shared.lock'))
})

test('a relative path in a folder that is gone is an error of this package', {
	skip: skipIf(isWindows, 'there the current folder of a process can not be removed'),
}, (t) => {
	const at = folder(t)
	const gone = JSON.stringify(join(at.dir, 'gone'))
	const outcomes = run(`
		const fs = await import('node:fs')
		fs.mkdirSync(${gone})
		process.chdir(${gone})
		fs.rmdirSync(${gone})
		const made = async (...args) => new registry.Document(...args)
		const options = { lockFile: 'a.lock' }
		console.log(JSON.stringify([await outcome(made('a.json')), await outcome(made('/a.json', options))]))`)
	for (const { name, code, path } of outcomes) {
		assert.deepEqual([name, code], ['RegistryError', 'NOT_FOUND'])
		assert.match(path, /^a\.(json|lock)$/)
	}
})

for (const lock of LOCKS) {
	test(`${lock}: a path that names a folder, and one that is a folder, are refused`, async (t) => {
		const at = documentFolder(t, lock)
		mkdirSync(join(at.dir, 'folder'))
		for (const [path, code] of [
			[`${at.path}/`, 'INVALID_VALUE'],
			['/', 'INVALID_VALUE'],
			[join(at.dir, 'folder'), 'IO'],
			[join(at.dir, 'x'.repeat(256)), 'INVALID_VALUE'],
		]) {
			const document = documentIn({ path }, lock, lists)
			for (const call of Object.values({ ...writes([]), ...loads })) {
				const error = await caught(call(document))
				assert.ok(error instanceof RegistryError, `${path}: ${error}`)
				assert.equal(error.code, code, path)
			}
			assert.throws(() => document.lockPath(), { name: 'RegistryError', code })
		}
		assert.deepEqual(at.names(), ['folder'])
	})

	test(`${lock}: a name of any characters, as long as it may be, and in a folder that is missing`, async (t) => {
		const at = folder(t)
		// Less than 255 bytes, which leaves room for the names of temp files.
		const unusual = isWindows ? ['ключ 🔑.json'] : ['ключ 🔑 "x"\n.json', ' .']
		for (const name of [...unusual, `${'é'.repeat(104)}.json`, 'a.b.c']) {
			const path = join(at.dir, 'not', 'yet', name)
			const document = documentIn({ path }, lock, lists)
			for (const update of Object.values(updates)) await update(document, push(name))
			await document.save(push(name)((await document.load()).value))
			assert.deepEqual((await document.load()).value, [name, name, name])
			assert.equal(document.path, path)
		}
	})
}

test('the lock file is beside the file itself, or where the options say', async (t) => {
	const at = folder(t)
	const path = (name) => join(at.dir, name)
	mkdirSync(path('real'))
	assert.equal(new Document(path('a.json')).lockPath(), path('a.lock'))
	assert.equal(new Document(path('a.b.toml')).lockPath(), path('a.b.lock'))
	assert.equal(new Document(path('a.json'), { lock: 'lock-file' }).lockPath(), path('a.lock'))
	assert.equal(new Document(path('a.json'), { lock: 'registry' }).lockPath(), path('a.json.guard'))
	const lockFile = path('b.lock')
	assert.equal(new Document(path('a.json'), { lockFile }).lockPath(), lockFile)
	symlinkSync(join('real', 'config.json'), path('link.json'))
	const linked = new Document(path('link.json'))
	assert.equal(linked.lockPath(), path('real/config.lock'))
	assert.equal(linked.path, path('link.json'))
	// Through a link to its folder, too, a lock file has one name.
	symlinkSync('real', path('folder'))
	const throughLink = new Document(path('a.json'), { lockFile: path('folder/b.lock') })
	assert.equal(throughLink.lockPath(), path('real/b.lock'))
	assert.deepEqual(namesIn(at), ['folder', 'link.json', 'real'])
})

test('a lock file that would be the document, or a registry’s lockfile or guard, is refused by every call', async (t) => {
	const at = folder(t)
	const path = join(at.dir, 'config.json')
	symlinkSync('.', join(at.dir, 'folder'))
	symlinkSync('config.json', join(at.dir, 'link.json'))
	const documents = [
		...['config.json', 'config.json.lock', 'config.json.guard', 'folder/config.json'].map(
			(name) => new Document(path, { ...lists, lockFile: join(at.dir, name) }),
		),
		new Document(join(at.dir, 'link.json'), { ...lists, lockFile: path }),
		// The default lock file of a name without an extension has the name of its lockfile.
		new Document(join(at.dir, 'config'), lists),
		new Document(join(at.dir, 'config.lock'), lists),
	]
	for (const document of documents) {
		for (const call of Object.values({ ...writes([]), ...loads })) {
			await assert.rejects(call(document), refused)
		}
		assert.throws(() => document.lockPath(), refused)
	}
	assert.deepEqual(namesIn(at), ['folder', 'link.json'])
})

test('bad options are refused at once, by name', (t) => {
	const at = folder(t)
	const bad = {
		lock: [null, '', 'guard', 'lockfile', 1, true],
		lockFile: [null, '', 7, 'a\0b', {}],
		decode: [null, 'json', {}],
		encode: [null, 'json', {}],
		empty: [null, [], 0],
		version: [null, -1, 1.5, '1', Number.NaN, Number.POSITIVE_INFINITY, 2 ** 32],
		onCorrupt: [null, '', 'ignore', true],
		durable: [null, 0, 'yes'],
		newFileMode: [null, -1, 0o1000, '644', 6.5],
		onWarning: [null, 'log', {}],
	}
	for (const [name, values] of Object.entries(bad)) {
		for (const value of values) {
			const message = new RegExp(`\\b${name}\\b`)
			assert.throws(() => new Document(at.path, { [name]: value }), { ...refused, message }, name)
		}
	}
	assert.throws(() => new Document(at.path, { lock: 'registry', lockFile: 'a.lock' }), {
		...refused,
		message: /lockFile has no meaning with lock: 'registry'/,
	})
	for (const path of [undefined, null, '', 7, 'a\0b', new URL('https://a'), Buffer.from('a')]) {
		assert.throws(() => new Document(path), { ...refused, message: /path/ })
	}
	assert.deepEqual(namesIn(at), [])
})

test('bad options of a call are refused by name, and so is what is no function', async (t) => {
	const at = folder(t)
	const document = new Document(at.path, lists)
	const all = { ...writes([]), ...loads, watch: async (each, options) => each.watch(options) }
	const bad = {
		timeoutMs: [null, -1, '2s', Number.NaN],
		staleMs: [null, -1, '2s'],
		signal: [null, {}, 'abort', new AbortController()],
	}
	for (const [name, call] of Object.entries(all)) {
		for (const [option, values] of Object.entries(bad)) {
			// A watch waits for as long as it takes.
			if (name === 'watch' && option !== 'signal') continue
			for (const value of values) {
				const message = new RegExp(`\\b${option}\\b`)
				const told = { ...refused, path: at.path, message }
				await assert.rejects(call(document, { [option]: value }), told, `${name} ${option}`)
			}
		}
		for (const options of [null, 'options', 7]) {
			await assert.rejects(call(document, options), { ...refused, message: /options/ }, name)
		}
	}
	assert.throws(() => document.watch({ onWarning: 'log' }), { ...refused, message: /onWarning/ })
	for (const updater of [undefined, null, {}, 'x']) {
		const told = { ...refused, message: /updater/ }
		await assert.rejects(document.update(updater), told)
		assert.throws(() => document.updateSync(updater), told)
		await assert.rejects(document.withLock(updater), { ...refused, message: /fn/ })
	}
	assert.deepEqual(namesIn(at), [])
})

test('a document is what its options were at construction', async (t) => {
	const at = folder(t)
	const options = { ...lists, version: 1, durable: false }
	const document = new Document(at.path, options)
	Object.assign(options, { decode: 7, encode: 'x', empty: null, version: 2, onCorrupt: 'keep' })
	await document.update(push('a'))
	assert.deepEqual(document.loadSync(), { value: ['a'], locked: true })
	at.put('{"version":2}')
	await assert.rejects(document.load(), { code: 'UNSUPPORTED_VERSION' })
	at.put('corrupt')
	await assert.rejects(document.update(same), { code: 'PARSE' })
})

for (const lock of LOCKS) {
	test(`${lock}: a file of another version is refused; a save replaces an older one and no newer one`, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document({ version: 3, empty: () => ({ version: 3, n: 0 }) })
		const all = { ...loads, ...writes({ version: 3, n: 1 }) }
		const others = [2, 4, '3', [3], 3.5, -1, true]
		for (const other of others) {
			const isOlder = typeof other === 'number' && other < 3
			const text = `{ "n": 7, "version": ${JSON.stringify(other)} }`
			for (const [name, call] of Object.entries(all)) {
				at.put(text)
				if (isOlder && ['save', 'withLock'].includes(name)) {
					await call(document)
					assert.deepEqual(at.json(), { version: 3, n: 1 }, name)
					continue
				}
				const error = await caught(call(document))
				assert.ok(error instanceof RegistryError, name)
				assert.deepEqual([error.code, error.path], ['UNSUPPORTED_VERSION', at.path], name)
				assert.match(error.message, isOlder ? /convert the file/ : /upgrade this program/)
				assert.equal(at.text(), text, name)
			}
		}
		at.noLitter()
		// The right one, and one that carries none, are read and written.
		for (const version of ['"version":3,', '"version":3.0,', '"version":null,', '']) {
			at.put(`{${version}"n":7}`)
			assert.equal((await document.load()).value.n, 7)
			await document.update((value) => ({ ...value, n: 8 }), DOCUMENT_UP_TO_A_MINUTE)
			assert.equal(at.json().n, 8)
		}
		at.put('[1]')
		assert.deepEqual(await document.load(), at.loaded([1]))
		at.noLitter()
	})

	test(`${lock}: a value of another version is not written`, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document({ version: 0, empty: () => ({ version: 0 }) })
		for (const version of [1, '0', [0]]) {
			for (const [name, write] of Object.entries(writes({ version, n: 1 }))) {
				const error = await caught(write(document))
				assert.deepEqual([error.code, error.path], ['INVALID_VALUE', at.path], name)
				assert.match(error.message, /the new value has schema version .+, not 0/)
			}
		}
		assert.equal(at.names().includes('registry.json'), false)
		await document.save({ n: 1 })
		await document.update((value) => ({ ...value, version: 0 }), DOCUMENT_UP_TO_A_MINUTE)
		assert.deepEqual(at.json(), { n: 1, version: 0 })
		// Without a version option, a version is a field like any other.
		await at.document({}).update((value) => ({ ...value, version: 9 }), DOCUMENT_UP_TO_A_MINUTE)
		assert.deepEqual(at.json(), { n: 1, version: 9 })
		at.noLitter()
	})

	test(`${lock}: a new file has the mode that the options say, less the umask; a replaced one keeps its own`, {
		skip: skipIf(isWindows, 'no modes'),
	}, async (t) => {
		const at = documentFolder(t, lock)
		const before = process.umask(0o027)
		cleanUp(t, () => process.umask(before))
		for (const [newFileMode, mode] of [
			[undefined, 0o640],
			[0o666, 0o640],
			[0o600, 0o600],
			[0o777, 0o640],
			[0o604, 0o600],
		]) {
			for (const [name, write] of Object.entries(writes(['a']))) {
				await write(at.document({ ...lists, newFileMode }))
				assert.equal(modeOf(at.path), mode, `${name} ${newFileMode?.toString(8)}`)
				// All that may write the document may open its lock.
				assert.equal(modeOf(join(at.dir, at.files()[1])) & 0o600, 0o600)
				await write(at.document({ ...lists, newFileMode: 0o644 }))
				assert.equal(modeOf(at.path), mode, name)
				for (const each of at.names()) unlinkSync(join(at.dir, each))
			}
		}
	})

	test(`${lock}: a new file has the mode of the update that writes it, not that of another one before it`, {
		skip: skipIf(isWindows, 'no modes'),
	}, async (t) => {
		const at = documentFolder(t, lock)
		// It finds nothing to write, so that the file is new to the next one.
		const open = at.document({ ...lists, newFileMode: 0o644 })
		const closed = at.document({ ...lists, newFileMode: 0o600 })
		await Promise.all([
			open.update(same, DOCUMENT_UP_TO_A_MINUTE),
			closed.update(push('secret'), DOCUMENT_UP_TO_A_MINUTE),
		])
		assert.deepEqual([at.json(), modeOf(at.path)], [['secret'], 0o600])
	})

	test(`${lock}: a write is durable unless the options say otherwise`, async (t) => {
		const at = folder(t)
		const asked = []
		const { commit, commitSync } = native.LockHandle.prototype
		cleanUp(t, () => Object.assign(native.LockHandle.prototype, { commit, commitSync }))
		Object.assign(native.LockHandle.prototype, {
			commit(request) {
				asked.push(request.durable)
				return commit.call(this, request)
			},
			commitSync(request) {
				asked.push(request.durable)
				return commitSync.call(this, request)
			},
		})
		for (const durable of [undefined, true, false]) {
			for (const [name, write] of Object.entries(writes([durable ?? 'default']))) {
				await write(new Document(at.path, { ...lists, lock, durable }))
				assert.deepEqual(asked.splice(0), [durable ?? true], name)
			}
		}
	})

	test(`${lock}: content that is kept is reported to onWarning, or else by the process`, async (t) => {
		const at = documentFolder(t, lock)
		const once = () => new Promise((resolve) => process.once('warning', resolve))
		at.put('bad')
		let warned = once()
		await at.document(lines).save(['a'])
		const { name, code, message } = await warned
		assert.deepEqual({ name, code }, { name: 'RegistryWarning', code: 'CORRUPT' })
		assert.match(message, /kept in/)
		at.put('bad')
		warned = once()
		const onWarning = () => {
			throw new Error('from the callback')
		}
		await at.document({ ...lines, onWarning }).update(push('b'), DOCUMENT_UP_TO_A_MINUTE)
		assert.match((await warned).message, /from the callback/)
		assert.equal(at.text(), '#\nb')
	})

	test(`${lock}: with nothing to start from, content that can't be decoded is refused although it would be kept`, async (t) => {
		const at = documentFolder(t, lock)
		at.put('{')
		const document = at.document({ empty: undefined })
		for (const update of Object.values(updates)) {
			const told = { name: 'RegistryError', code: 'PARSE', path: at.path }
			await assert.rejects(update(document, same), told)
		}
		assert.equal(at.text(), '{')
		at.noLitter()
	})

	test(`${lock}: code that holds the lock reads what is in the file, and writes`, async (t) => {
		const at = documentFolder(t, lock)
		const document = at.document()
		const others = at.document()
		let late
		const result = await document.withLock(async (held) => {
			assert.equal(held.path, at.path)
			await assert.rejects(document.load(), { code: 'NOT_FOUND', path: at.path })
			assert.throws(() => others.loadSync(), { code: 'NOT_FOUND', path: at.path })
			await held.write(['a'])
			assert.deepEqual(await document.load(), at.loaded(['a']))
			await held.write(['a', 'b'])
			assert.deepEqual(others.loadSync(DOCUMENT_UP_TO_A_MINUTE), at.loaded(['a', 'b']))
			held.write(['c'])
			late = held
			return 'result'
		}, DOCUMENT_UP_TO_A_MINUTE)
		assert.equal(result, 'result')
		assert.deepEqual(at.json(), ['c'])
		await assert.rejects(late.write(['d']), { ...refused, message: /the call is over/ })
		await document.update(async (given) => {
			given.push('d')
			assert.deepEqual((await others.load(DOCUMENT_UP_TO_A_MINUTE)).value, ['c'])
			return given
		}, DOCUMENT_UP_TO_A_MINUTE)
		document.updateSync((given) => {
			assert.deepEqual(others.loadSync().value, ['c', 'd'])
			return push('e')(given)
		})
		assert.equal(at.text(), print(['c', 'd', 'e']))
		const mine = new Error('mine')
		const failing = () => {
			throw mine
		}
		assert.equal(await caught(document.withLock(failing)), mine)
		at.noLitter()
	})

	test(`${lock}: two documents of one file in one thread are one after the other`, async (t) => {
		const at = documentFolder(t, lock)
		const [first, second] = [at.document(), at.document()]
		const order = [...Array(100).keys()]
		const settled = order.map((n) =>
			(n % 2 ? first : second).update(push(n), DOCUMENT_UP_TO_A_MINUTE),
		)
		await Promise.all(settled)
		assert.deepEqual(at.json(), order)
		const { save } = writes([])
		await Promise.all([first, second].map((each) => save(each)))
		assert.deepEqual(at.json(), [])
		at.noLitter()
	})
}

test('requiring the package twice gives one class, which says what it is', () => {
	const require = createRequire(import.meta.url)
	assert.equal(require('../../index.js').Document, Document)
	assert.equal(Document.name, 'Document')
})
