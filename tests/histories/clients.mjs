// The processes of a history: started, told what to call, killed, frozen and woken. What they were told
// and what they answered is written down here, by one clock that can't be set. An answer is dated when it
// is read, and a call before it is sent: so a history claims no order that there was not.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const script = (name) => fileURLToPath(new URL(name, import.meta.url))

const now = () => Number(process.hrtime.bigint()) / 1e6

/** What kinds of processes there are: the program, its script, and how many calls it has under way. */
export const kindsOf = ({ bun, rust }) => ({
	sync: { program: process.execPath, script: script('client.mjs'), atOnce: 1 },
	async: { program: process.execPath, script: script('client.mjs'), atOnce: 4 },
	...(bun && { bun: { program: bun, script: script('client.mjs'), kind: 'async', atOnce: 4 } }),
	unlocked: { program: process.execPath, script: script('client.mjs'), atOnce: 4 },
	rust: { program: rust, atOnce: 1 },
	older: {
		program: process.execPath,
		script: script('older-client.mjs'),
		atOnce: 1,
		isOlder: true,
	},
})

export const startClient = async (name, kind, { path, options, env, history, onEnd }) => {
	const own = kind.script ? [kind.script] : []
	const args = [...own, kind.kind ?? name, path, JSON.stringify(options)]
	const child = spawn(kind.program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] })
	const open = new Map()
	let stderr = ''
	let isKilled = false
	child.stderr.on('data', (data) => {
		stderr += data
	})
	// It may be killed while it is told something.
	child.stdin.on('error', () => {})
	const lines = createInterface({ input: child.stdout })
	const ready = once(lines, 'line')
	const ended = Promise.all([once(child, 'exit'), once(lines, 'close')]).then(
		([[code, signal]]) => {
			for (const call of open.values())
				history.push({ ...call, answeredAt: Number.POSITIVE_INFINITY })
			const isUnasked = !isKilled
			onEnd(
				client,
				isUnasked ? `${name} ended on its own (${signal ?? code}): ${stderr}` : undefined,
			)
		},
	)
	const client = {
		name,
		kind,
		pid: child.pid,
		ended,
		isFree: () => !isKilled && open.size < kind.atOnce,
		isIdle: () => open.size === 0,
		call: (call) => {
			open.set(call.number, { ...call, by: `${name} ${child.pid}`, calledAt: now() })
			child.stdin.write(`${JSON.stringify(call)}\n`)
		},
		signal: (signal) => {
			if (!isKilled) child.kill(signal)
		},
		kill: () => {
			isKilled = true
			child.kill('SIGKILL')
		},
		/** Lets it end when it has answered all. */
		finish: () => {
			isKilled = true
			child.stdin.end()
		},
	}
	const orEnd = ended.then(() => {
		throw new Error(`${name} can't be started: ${stderr}`)
	})
	orEnd.catch(() => {})
	await Promise.race([ready, orEnd])
	lines.on('line', (line) => {
		const { number, ...said } = JSON.parse(line)
		history.push({ ...open.get(number), ...said, answeredAt: now() })
		open.delete(number)
	})
	return client
}
