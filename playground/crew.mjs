// The playground's end of the line: its child processes, started, awaited and ended.

import { fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { shareClock } from './clock.mjs'

/** A process is over when its last message has arrived too, which may be after its exit. */
const completeEnd = async (child) => {
	const [[code, signal]] = await Promise.all([once(child, 'exit'), once(child, 'disconnect')])
	return signal ?? code
}

/**
 * Processes that end together: `onReport` gets what they report, `onFailure` an error when one
 * ends without having been told to.
 */
export const createCrew = ({ signal, onReport, onFailure }) => {
	const members = []

	/** `within` are the words before a command that runs elsewhere, such as in another network namespace. */
	const start = (file, settings, program = process.execPath, within = []) => {
		signal.throwIfAborted()
		const { id } = settings
		const [command, ...before] = [...within, program]
		// This runtime's flags are nothing to another one.
		const flags = program === process.execPath ? process.execArgv : []
		const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(settings)], {
			env: { ...process.env, ...shareClock() },
			execPath: command,
			execArgv: [...before, ...flags],
		})
		const news = new EventEmitter()
		let mayEnd = false
		child.on('error', onFailure)
		child.on('message', ({ type, ...details }) => {
			if (type === 'report') {
				onReport(details.report)
				news.emit(details.report.what, details.report)
			} else news.emit(type, details)
		})
		const ended = completeEnd(child).then((how) => {
			if (!mayEnd) onFailure(new Error(`${id} ended on its own (${how})`))
		}, onFailure)
		const orEnd = async (name) => {
			await ended
			throw new Error(`${id} ended before its ${name}`)
		}
		const letEnd = () => {
			mayEnd = true
		}
		const member = {
			id,
			pid: child.pid,
			ended,
			/** The next message or report of that name; ask for it before ordering what brings it. */
			next: (name) => {
				const told = once(news, name).then(([details]) => details)
				const next = Promise.race([told, orEnd(name)])
				// The act that asked may fail before it comes to waiting.
				next.catch(() => {})
				return next
			},
			order: (type, details) => child.send({ type, ...details }),
			signal: (name) => process.kill(child.pid, name),
			/** From here on its end is no failure. */
			letEnd,
			kill: () => {
				letEnd()
				child.kill('SIGKILL')
			},
		}
		members.push(member)
		return member
	}

	/** Ends the processes that are left: SIGKILL also ends those that are frozen or blocked. */
	const stop = async () => {
		for (const member of members) member.kill()
		await Promise.all(members.map(({ ended }) => ended))
	}

	signal.addEventListener('abort', stop)
	return { start, stop }
}
