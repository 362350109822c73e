// The programs that a run starts: known by their handles, so that none outlives the run.

const running = new Set()

export const track = (child) => {
	running.add(child)
	child.once('close', () => running.delete(child))
	return child
}

export const killAll = () => {
	for (const child of running) child.kill('SIGKILL')
}

export const whenClosed = (child) =>
	new Promise((resolve) => {
		if (running.has(child)) child.once('close', resolve)
		else resolve()
	})

/** The next message of a child process; an error if it ends without one. */
export const nextMessage = (child) =>
	new Promise((resolve, reject) => {
		child.once('message', resolve)
		child.once('error', reject)
		child.once('close', (code, signal) =>
			reject(new Error(`a process of the benchmark ended early (${signal ?? `code ${code}`})`)),
		)
	})
