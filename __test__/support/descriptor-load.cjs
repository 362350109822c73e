// A program that loads the package, starts children with pipes, collects garbage and idles, as test runners
// that drive browsers do. With `use` it also uses the package.

const { spawn } = require('node:child_process')
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')

const registry = require(process.env.TEST_PACKAGE)

const child = () =>
	new Promise((resolve, reject) => {
		const started = spawn('cat', [], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] })
		started.stdout.resume()
		started.on('error', reject)
		started.on('close', resolve)
		started.stdin.end('text')
	})

const collect = () => (globalThis.Bun ? globalThis.Bun.gc(true) : globalThis.gc())

const use = async (dir) => {
	const path = join(dir, 'registry.json')
	const bump = (value) => ({ ...value, updatedAt: value.updatedAt + 1 })
	const watch = registry.watchRegistry(path)
	await watch.next()
	await Promise.all([1, 2, 3].map(() => registry.updateRegistry(path, bump)))
	registry.updateRegistrySync(path, bump)
	await watch.next()
	await watch.return()
	registry.tryLockExclusive(join(dir, 'a.lock')).release()
	registry.tryLockShared(join(dir, 'b.lock')) // left to the collector
	await registry.inspectLock(path)
}

const main = async (dir) => {
	for (let round = 0; round < 2; round += 1) {
		if (dir) await use(dir)
		await Promise.all([child(), child(), child()])
		collect()
		await delay(100)
	}
	console.log('done')
}

main(process.argv[2])
