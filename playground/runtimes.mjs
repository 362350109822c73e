// The program that runs the watchers.

import { execFileSync } from 'node:child_process'
import { install, installed, runtimes } from '../scripts/runtime-installs.mjs'

const BUN = 'bun@1.4'

/** By its own word: what the PATH has may be a link to it, or a script. */
const bunInPath = () => {
	try {
		const said = execFileSync('bun', ['-p', 'process.execPath'], {
			encoding: 'utf8',
			stdio: ['ignore', 'pipe', 'ignore'],
		})
		return said.trim()
	} catch {
		return undefined
	}
}

const findBun = () => (process.versions.bun ? process.execPath : (bunInPath() ?? installed(BUN)))

const installBun = (say) => {
	const runtime = runtimes.find(({ label }) => label === BUN)
	say(`Installing Bun ${runtime.version}, as there is none in the PATH ...`)
	try {
		install(runtime)
	} catch (error) {
		throw new Error(`--runtime bun: there is no Bun, and none can be installed: ${error.message}`)
	}
	return runtime.binary
}

/** By the name that `--runtime` has for it. */
const programs = {
	/** The runtime that runs the playground. */
	node: () => process.execPath,
	bun: (say) => findBun() ?? installBun(say),
}

export const RUNTIMES = Object.keys(programs)

/** The program of a runtime; installs it, and says so, if it has to. */
export const programOf = (name, say) => programs[name](say)
