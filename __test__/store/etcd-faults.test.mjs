// Servers of etcd that don't answer, that die, and that don't let a program in.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import {
	claimWatcher,
	heartbeatWatcher,
	pruneStaleWatchers,
	readRegistry,
	readRegistrySync,
	removeWatcher,
	updateRegistry,
	updateRegistrySync,
	watchRegistry,
	withRegistryLock,
	writeRegistry,
} from '../../index.js'
import { configureEtcd, etcdServers, PATIENT, skipWithoutEtcd } from '../support/etcd.mjs'
import { folder, record } from '../support/folder.mjs'
import { UP_TO_A_MINUTE, UP_TO_TWO_MINUTES } from '../support/options.mjs'
import { puppets } from '../support/processes.mjs'

const faults = (name, body) => test(name, { skip: skipWithoutEtcd }, body)

const bump = (registry) => ({ ...registry, count: (registry.count ?? 0) + 1 })

/** The calls that take a timeout. */
const timedCalls = (path) => ({
	updateRegistry: (options) => updateRegistry(path, bump, options),
	updateRegistrySync: async (options) => updateRegistrySync(path, bump, options),
	writeRegistry: (options) =>
		writeRegistry(path, { version: 1, updatedAt: 1, watchers: {} }, options),
	withRegistryLock: (options) => withRegistryLock(path, () => {}, options),
	claimWatcher: (options) => claimWatcher(path, record('app'), options),
	heartbeatWatcher: (options) => heartbeatWatcher(path, 'app', options),
	removeWatcher: (options) => removeWatcher(path, 'app', options),
	pruneStaleWatchers: (options) => pruneStaleWatchers(path, options),
})

/** A path whose server is not there, and one whose server accepts connections and never answers. */
const unanswered = async (t) => {
	const sockets = new Set()
	const silent = createServer((socket) => sockets.add(socket.on('error', () => {})))
	silent.listen(0, '127.0.0.1')
	t.after(() => {
		silent.close()
		for (const socket of sockets) socket.destroy()
	})
	await new Promise((resolve) => silent.once('listening', resolve))
	return ['etcd://127.0.0.1:1/p', `etcd://127.0.0.1:${silent.address().port}/p`]
}

faults('without a server that answers each call fails within its timeout', async (t) => {
	for (const path of await unanswered(t)) {
		await configureEtcd(path, { readWithinMs: 300, answerWithinMs: 100 })
		const refused = { name: 'RegistryError', code: 'UNAVAILABLE', path, message: /127\.0\.0\.1/ }
		for (const [name, call] of Object.entries(timedCalls(path))) {
			const started = Date.now()
			await assert.rejects(call({ timeoutMs: 300 }), refused, name)
			// Far below any default.
			assert.ok(Date.now() - started < 1_500, `${name} took ${Date.now() - started} ms`)
		}
		await assert.rejects(readRegistry(path), refused)
		assert.throws(() => readRegistrySync(path), refused)
		await assert.rejects(watchRegistry(path).next(), refused)
	}
})

faults('a call that waits for servers ends when it is aborted', async (t) => {
	for (const path of await unanswered(t)) {
		for (const [name, call] of Object.entries(timedCalls(path))) {
			if (name === 'updateRegistrySync') continue
			const aborter = new AbortController()
			const waiting = call({ ...UP_TO_A_MINUTE, signal: aborter.signal })
			setTimeout(() => aborter.abort('enough'), 50)
			const started = Date.now()
			await assert.rejects(waiting, { code: 'ABORTED', path, cause: 'enough' }, name)
			assert.ok(Date.now() - started < 10_000, name)
		}
	}
})

faults(
	'no increment of eight processes is lost or made twice when the leader is killed',
	async (t) => {
		const cluster = await etcdServers(t, 3)
		const path = cluster.path('/conserved')
		const others = puppets(t, 8)
		const options = { ...UP_TO_TWO_MINUTES, timeoutMs: 240_000 }
		for (const other of others) other.start('increment', { path, times: 50, options })
		await configureEtcd(path, { readWithinMs: 60_000 })
		const count = async () => (await readRegistry(path)).registry.count ?? 0
		while ((await count()) < 100) await new Promise((resolve) => setTimeout(resolve, 20))
		const leader = cluster.leader()
		assert.ok(leader >= 0)
		process.kill(cluster.servers[leader].pid, 'SIGKILL')
		for (const other of others) await other.expect('done')
		assert.equal(await count(), 400)
	},
)

// It was `UNAVAILABLE`, whose message says that nothing was written.
faults('a lock whose release no server answers has kept what was written under it', async (t) => {
	const server = await etcdServers(t, 1)
	const path = server.path('/unreleased')
	await configureEtcd(path, { readWithinMs: 1_500 })
	const held = withRegistryLock(
		path,
		async (lock) => {
			await lock.write({ version: 1, updatedAt: 1, watchers: {}, count: 1 })
			process.kill(server.servers[0].pid, 'SIGKILL')
		},
		UP_TO_A_MINUTE,
	)
	await assert.rejects(held, {
		name: 'RegistryError',
		code: 'OUTCOME_UNKNOWN',
		path,
		message: /what it has written is written/,
	})
})

/** Makes an authority `NAME-ca.pem`, and a certificate `NAME.pem` for 127.0.0.1 that it has signed. */
const certificates = (dir, name) => {
	const openssl = (args) => execFileSync('openssl', args.split(' '), { cwd: dir, stdio: 'ignore' })
	const key = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
	openssl(
		`req -x509 ${key} -days 2 -subj /CN=${name}-ca -keyout ${name}-ca.key -out ${name}-ca.pem`,
	)
	openssl(`req ${key} -subj /CN=${name} -keyout ${name}.key -out ${name}.csr`)
	const extension = 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n'
	writeFileSync(join(dir, 'ext'), extension)
	const signer = `-CA ${name}-ca.pem -CAkey ${name}-ca.key -CAcreateserial`
	openssl(`x509 -req -in ${name}.csr ${signer} -days 2 -extfile ext -out ${name}.pem`)
}

faults('a wrong certificate is told from a server that does not answer', async (t) => {
	const { dir } = folder(t)
	certificates(dir, 'one')
	certificates(dir, 'other')
	const file = (name) => join(dir, name)
	const text = (name) => readFileSync(file(name), 'utf8')
	const server = await etcdServers(t, 1, [
		`--cert-file=${file('one.pem')}`,
		`--key-file=${file('one.key')}`,
		'--client-cert-auth',
		`--trusted-ca-file=${file('one-ca.pem')}`,
	])
	const configured = async (prefix, tls) => {
		const path = server.path(prefix)
		await configureEtcd(path, { ...PATIENT, tls })
		return path
	}
	const certificate = { certificate: file('one.pem'), key: file('one.key') }
	const good = await configured('/good', { ca: file('one-ca.pem'), ...certificate })
	await updateRegistry(good, bump, UP_TO_A_MINUTE)
	// The texts themselves serve as well as the names of files.
	const texts = { ca: text('one-ca.pem'), certificate: text('one.pem'), key: text('one.key') }
	await updateRegistry(await configured('/texts', texts), bump, UP_TO_A_MINUTE)
	for (const [prefix, tls, reason] of [
		['/ca', { ca: file('other-ca.pem'), ...certificate }, /the server's certificate/],
		[
			'/client',
			{ ...texts, certificate: text('other.pem'), key: text('other.key') },
			/certificate/,
		],
		['/none', { ca: file('one-ca.pem') }, /certificate/],
	]) {
		const path = await configured(prefix, tls)
		const refused = { name: 'RegistryError', code: 'PERMISSION_DENIED', path, message: reason }
		await assert.rejects(readRegistry(path), refused, prefix)
		await assert.rejects(updateRegistry(path, bump, UP_TO_A_MINUTE), refused, prefix)
		await assert.rejects(claimWatcher(path, record('app'), UP_TO_A_MINUTE), refused, prefix)
	}
	await assert.rejects(configured('/missing', { ca: file('no-ca.pem') }), { code: 'NOT_FOUND' })
	await assert.rejects(
		configured('/no-pem', { ca: text('one-ca.pem'), ...certificate, key: text('one.pem') }),
		{
			code: 'INVALID_VALUE',
		},
	)
	assert.equal((await readRegistry(good)).registry.count, 1)
})

faults('a user with a role for the prefix suffices and any other is refused', async (t) => {
	const server = await etcdServers(t, 1)
	for (const command of [
		'user add root:secret',
		'user grant-role root root',
		'role add argus',
		'role grant-permission argus --prefix=true readwrite /users/',
		'user add argus:word',
		'user grant-role argus argus',
		'auth enable',
	]) {
		assert.notEqual(server.ctl(...command.split(' ')), undefined, command)
	}
	const { dir } = folder(t)
	const passwordFile = join(dir, 'password')
	writeFileSync(passwordFile, 'word\n')
	const configured = async (prefix, options) => {
		const path = server.path(prefix)
		await configureEtcd(path, { ...PATIENT, ...options })
		return path
	}
	const good = await configured('/users/good', { user: 'argus', passwordFile })
	const { claim } = await claimWatcher(good, record('app'), UP_TO_A_MINUTE)
	assert.equal(await heartbeatWatcher(good, claim, UP_TO_A_MINUTE), true)
	await withRegistryLock(good, (lock) => lock.write({ version: 1, updatedAt: 1, watchers: {} }))
	for (const [prefix, options, reason] of [
		['/users/wrong', { user: 'argus', password: 'wrong' }, /with this password/],
		['/users/none', {}, /name none/],
		['/others', { user: 'argus', password: 'word' }, /a role/],
	]) {
		const path = await configured(prefix, options)
		const refused = { name: 'RegistryError', code: 'PERMISSION_DENIED', path, message: reason }
		await assert.rejects(readRegistry(path), refused)
		await assert.rejects(updateRegistry(path, bump, UP_TO_A_MINUTE), refused)
	}
})
