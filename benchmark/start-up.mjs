// What requiring the package costs, in time and memory, and how large the addon is.

import { execFileSync } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from './statistics.mjs'

const PROCESSES = 11

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const script = fileURLToPath(new URL('./children/start-up.mjs', import.meta.url))

const probe = () => JSON.parse(execFileSync(process.execPath, [script], { encoding: 'utf8' }))

const addonBytes = () => {
	const prefix = `argus-registry.${process.platform}-${process.arch}`
	const name = readdirSync(root).find((file) => file.startsWith(prefix) && file.endsWith('.node'))
	return name ? statSync(join(root, name)).size : Number.NaN
}

export const measureStartUp = () => {
	// Not counted: it reads the files from disk, the others from the page cache.
	probe()
	const probes = Array.from({ length: PROCESSES }, probe)
	const times = probes.map(({ ms }) => ms)
	const sizes = probes.map(({ bytes }) => bytes)
	return {
		processes: PROCESSES,
		ms: { median: median(times), max: Math.max(...times) },
		bytes: { median: median(sizes), max: Math.max(...sizes) },
		addonBytes: addonBytes(),
	}
}
