// A registry in etcd beside plain calls to the same server: entry operations, updates, watches, and how many
// watchers one server carries.

import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { buildEtcdProgram, runEtcdProgram, track } from '../children.mjs'
import { etcdVersion, startEtcd } from '../etcd-server.mjs'
import { etcdText } from '../report.mjs'
import { median } from '../statistics.mjs'

export const summary = 'a registry in etcd beside plain calls, if etcd is installed'

/** Each call of the package, and the plain calls that do no more than it has to. */
export const PAIRS = {
	heartbeat: 'transaction',
	announce: 'leaseAndTransaction',
	claim: 'leaseAndTransaction',
	remove: 'transaction',
	update: 'readAndPut',
	watch: 'plainWatch',
}

const measure = async (folder, { etcdCalls, etcdStepSeconds }) => {
	const server = await startEtcd(folder, track)
	try {
		const args = [server.endpoint, '/benchmark', server.pid, etcdCalls, etcdStepSeconds]
		const lines = (await runEtcdProgram(args.map(String))).trim().split('\n')
		const cells = lines.map((line) => JSON.parse(line))
		const p50 = (name) => cells.find(({ cell }) => cell === name).p50Us
		const times = Object.entries(PAIRS).map(([own, plain]) => [
			own,
			{ us: p50(own), plainUs: p50(plain), ratio: p50(own) / p50(plain) },
		])
		return {
			calls: Object.fromEntries(times),
			steps: cells.filter(({ cell }) => cell === 'watchers'),
			leases: cells.find(({ cell }) => cell === 'leases'),
		}
	} finally {
		await server.stop()
	}
}

export const run = async ({ places, settings, print }) => {
	const version = etcdVersion()
	if (version === undefined) {
		print('SKIPPED: etcd is not installed (apt-get install etcd-server)')
		return { skipped: 'etcd is not installed' }
	}
	buildEtcdProgram()
	const [{ place, folder }] = places
	const rounds = []
	for (let round = 1; round <= settings.rounds; round += 1) {
		const own = mkdtempSync(join(folder, 'etcd-'))
		rounds.push({ round, ...(await measure(own, settings)) })
		print(etcdText(rounds.at(-1)))
	}
	const medians = (name) =>
		Object.fromEntries(
			['us', 'plainUs', 'ratio'].map((key) => [
				key,
				median(rounds.map(({ calls }) => calls[name][key])),
			]),
		)
	// The best round: in the others, something else kept the machine from it.
	const carried = ({ steps }) =>
		Math.max(0, ...steps.filter(({ keepsUp }) => keepsUp).map(({ watchers }) => watchers))
	const best = rounds.reduce((one, other) => (carried(other) > carried(one) ? other : one))
	return {
		place,
		version,
		rounds,
		calls: Object.fromEntries(Object.keys(PAIRS).map((name) => [name, medians(name)])),
		watchers: carried(best),
		steps: best.steps,
		leasesPerSecond: median(rounds.map(({ leases }) => leases.perSecond)),
	}
}
