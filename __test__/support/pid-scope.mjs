// Where a pid of this process's namespace means something, found out without the package.

import { readFileSync, statSync } from 'node:fs'
import { hostname } from 'node:os'

/** The inode of the initial pid namespace. */
const INITIAL_NAMESPACE = 0xeffffffc

/** FNV-1a, of 64 bits. */
const digest = (text) => {
	const add = (hash, byte) => ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn
	return Buffer.from(text).reduce(add, 0xcbf29ce484222325n).toString(16).padStart(16, '0')
}

const textOf = (file) => {
	try {
		return readFileSync(file, 'utf8').trim()
	} catch {
		return undefined
	}
}

const findScope = () => {
	if (process.platform !== 'linux') {
		const system =
			process.platform === 'win32' ? 'windows' : process.platform.replace('darwin', 'macos')
		return { machine: digest(`${system}:${hostname()}`) }
	}
	const boot = textOf('/proc/sys/kernel/random/boot_id')
	const namespace = statSync('/proc/self/ns/pid').ino
	const id = textOf('/etc/machine-id')
	const hasMachine = namespace === INITIAL_NAMESPACE && /^[0-9a-f]{32}$/i.test(id ?? '')
	return { boot, namespace, ...(hasMachine && { machine: digest(`linux:${id}`) }) }
}

const scope = findScope()

/** Whether this process sees all others of the machine, so that a pid without a scope is judged. */
export const seesAllProcesses = (scope.namespace ?? INITIAL_NAMESPACE) === INITIAL_NAMESPACE

/** The scope that an entry of a process beside this one has. */
export const pidScope = (pid = process.pid) => ({ pid, ...scope })
