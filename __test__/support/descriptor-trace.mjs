// Which descriptors a library opens and closes, from what `strace -f -k` prints: each system call, and under it
// the stack of its thread, the innermost frame first.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The calls that make descriptors, and those that end them. Unknown ones (`?`) are another architecture's. */
const CALLS = [
	'?open,openat,?openat2,?creat,dup,?dup2,dup3,fcntl,?eventfd,eventfd2,?epoll_create,epoll_create1',
	'?inotify_init,inotify_init1,?pipe,pipe2,socket,socketpair,?accept,accept4,?memfd_create',
	'?timerfd_create,?pidfd_open,?signalfd4,?io_uring_setup,close,?close_range',
].join()

/** Runs a program under strace; the trace, or why there is none. */
export const traced = (dir, command, options = {}) => {
	const file = join(dir, 'trace')
	const args = ['-f', '-k', '-e', `trace=${CALLS}`, '-o', file, ...command]
	const result = spawnSync('strace', args, { encoding: 'utf8', ...options })
	return { ...result, trace: result.error ? '' : readFileSync(file, 'utf8') }
}

/** Why descriptors can't be traced here; undefined if they can. */
export const untraceable = (dir) => {
	const { error, status, stderr, trace } = traced(dir, ['cat', '/dev/null'])
	if (error) return `strace can't be run: ${error.message}`
	if (status !== 0) return `strace can't trace: ${stderr.split('\n')[0]}`
	return trace.includes('\n > ') ? undefined : 'this strace prints no stacks'
}

/** The libraries through which others call the system. */
const SYSTEM_LIBRARY = /\/(?:ld|libc|libpthread)[-.][^/]*so[^/]*$|\/(?:ld-musl|libc\.musl)[^/]*$/

/** The library that made a call: that of the innermost frame that is not the system's own. */
const callerOf = (frames) => frames.find((library) => !SYSTEM_LIBRARY.test(library))

/** A line of a system call: the thread, and either a whole call, its beginning, or its end. */
const LINE =
	/^(\d+) +(?:(\w+)\((.*?)( <unfinished \.\.\.>|\) += .*)|<\.\.\. \w+ resumed>(.*?)\) += (.*))$/

/**
 * The calls of a trace, in order: what was called, by which library, and how it ended. A call that closes is
 * in the place of its beginning: from then on another thread may get the number. Others are in that of their
 * end, as a number is theirs only then.
 */
const callsOf = (trace) => {
	const calls = []
	const unfinished = new Map()
	let current
	for (const line of trace.split('\n')) {
		const frame = /^ > (.+?)(?:\([^()]*\))? \[0x[0-9a-f]+\]$/.exec(line)
		if (frame) {
			current?.frames.push(frame[1])
			continue
		}
		const [, pid, name, args, end, more, result] = LINE.exec(line) ?? []
		if (name) {
			current = { name, args, frames: [], result: Number.parseInt(end.replace(/^\) += /, ''), 10) }
			const isBegun = end.startsWith(' <')
			if (isBegun) unfinished.set(pid, current)
			if (!isBegun || name.startsWith('close')) calls.push(current)
		} else if (result) {
			current = unfinished.get(pid)
			if (!current) continue
			unfinished.delete(pid)
			current.args += more
			current.result = Number.parseInt(result, 10)
			if (!current.name.startsWith('close')) calls.push(current)
		}
	}
	return calls.map(({ frames, ...call }) => ({ ...call, caller: callerOf(frames) ?? '' }))
}

/** The descriptors that a call has made. */
const madeBy = ({ name, args, result }) => {
	if (result < 0) return []
	if (/^(?:pipe2?|socketpair)$/.test(name))
		return (/\[(\d+), (\d+)\]/.exec(args) ?? []).slice(1).map(Number)
	if (name === 'fcntl') return /, F_DUPFD/.test(args) ? [result] : []
	return [result]
}

/**
 * What a library has done with descriptors: how many it made and closed, and each call by which it
 * ended one that it had not made, or ended one twice.
 */
export const descriptorsOf = (trace, isLibrary) => {
	const own = new Set()
	const strange = []
	let made = 0
	let closed = 0
	for (const call of callsOf(trace).filter(({ caller }) => isLibrary(caller))) {
		// The descriptor that dup2 and dup3 make may be another's, which they close.
		const ended = /^dup[23]$/.test(call.name) ? Number(call.args.split(',')[1]) : undefined
		const text = `${call.name}(${call.args})`
		if (call.name === 'close_range') strange.push(text)
		else if (call.name === 'close') {
			closed += 1
			if (!own.delete(Number(call.args))) strange.push(text)
		} else if (ended !== undefined && !own.has(ended)) strange.push(text)
		else {
			const descriptors = madeBy(call)
			made += descriptors.length
			for (const each of descriptors) own.add(each)
		}
	}
	return { made, closed, strange, left: own.size }
}
