// The speed that the package promises, beside what was measured.

const NOT_MEASURED = 'not measured'

const limit = (target, measured, bound, unit, isAtLeast = false) => {
	if (measured === undefined || Number.isNaN(measured)) {
		return { target, measured: null, bound, unit, verdict: NOT_MEASURED }
	}
	const isMet = isAtLeast ? measured >= bound : measured <= bound
	return { target, measured, bound, unit, verdict: isMet ? 'met' : 'MISSED' }
}

const atLeast = (target, measured, bound, unit) => limit(target, measured, bound, unit, true)

const ratio = (one, other) => (one === undefined || other === undefined ? undefined : one / other)

const finder =
	(parts) =>
	(part, contestant, { processes, place = 'disk' } = {}) =>
		parts[part]?.results?.find(
			(result) =>
				result.contestant === contestant &&
				(processes === undefined || result.processes === processes) &&
				(result.place === undefined || result.place === place),
		)

/** What each may take of one process's floor at the same place: on the disk, and on tmpfs. */
const ALONE = [
	['crate-heartbeat', 0.95, 2],
	['crate-announce', 0.95, 2],
	['crate-update', 1, 2.5],
	['argus-sync', 1.15, 4],
	['argus-heartbeat', 1.25, 5],
	['argus-announce', 1.25, 5],
	['argus-async', 1.25, 5],
]

/** Durable, on the disk: on tmpfs there is nothing to sync. The hops of a promise wake sleeping cores. */
const ALONE_DURABLE = [
	['crate-heartbeat', 1.1],
	['crate-announce', 1.1],
	['crate-update', 1.1],
	['argus-sync', 1.1],
	['argus-heartbeat', 1.4],
	['argus-announce', 1.4],
	['argus-async', 1.4],
]

const alone = (find) => {
	const row = (name, place, bound) => {
		const target = `${name}, one process, ${place}: at most ${bound} times the floor`
		const found = find('one-process', name, { place })
		return { ...limit(target, found?.timesFloor, bound, 'x'), overFloorUs: found?.overFloorUs }
	}
	return [
		...ALONE.map(([name, bound]) => row(name, 'disk', bound)),
		...ALONE.map(([name, , bound]) => row(name, 'tmpfs', bound)),
		...ALONE_DURABLE.map(([name, bound]) => row(`${name}-durable`, 'disk', bound)),
	]
}

const plainFiles = ['older-argus', 'proper-lockfile']

/** The part of one process's floor that ten processes reach together, on the disk. */
const TOGETHER = [
	['argus-sync', 0.6],
	['argus-async', 0.45],
	['argus-heartbeat', 0.8],
]

const ten = (find) => {
	const rows = []
	const olderArgus = find('processes', 'older-argus', { processes: 10 })
	const others = plainFiles
		.map((name) => find('processes', name, { processes: 10 })?.opsPerSecond)
		.filter((value) => value !== undefined)
	const best = others.length > 0 ? Math.max(...others) : undefined
	for (const [name, bound] of TOGETHER) {
		const ours = find('processes', name, { processes: 10 })
		const share = ours && 1 / ours.timesFloor
		rows.push(atLeast(`${name}, 10 processes: at least ${bound} of the floor`, share, bound, 'x'))
		const above = `${name}, 10 processes: above every other that keeps a plain JSON file`
		rows.push(atLeast(above, ratio(ours?.opsPerSecond, best), 1, 'x'))
		const median = find('one-process', name)?.p50
		const fair = `${name}, 10 processes: worst p99 at most 4 times the fair share`
		rows.push(limit(fair, ratio(ours?.worstP99, median && 10 * median), 4, 'x'))
		const tail = `${name}, 10 processes: worst p99 at most 1/20 of older argus's`
		rows.push(limit(tail, ratio(ours?.worstP99, olderArgus?.worstP99), 0.05, 'x'))
	}
	return rows
}

const endurance = (find) => {
	const rows = []
	for (const name of ['argus-sync', 'argus-async']) {
		const ours = find('endurance', name)
		const timeouts = ours && (ours.errors.LOCK_TIMEOUT ?? 0)
		rows.push(limit(`${name}, 64 processes: no call times out`, timeouts, 0, 'timeouts'))
		const half = `${name}, 64 processes: the slowest has half of the fastest's updates`
		rows.push(atLeast(half, ours?.fairness, 0.5, 'x'))
	}
	return rows
}

const large = (parts) => {
	const size = parts.sizes?.sizes.find((each) => each.place === 'disk' && each.entries === 10_000)
	const measured = size?.timesCopy['argus-heartbeat']
	const target = '10,000 entries: a heartbeat at most 1.2 times reading, writing, renaming them'
	return limit(target, measured, 1.2, 'x')
}

/** Beside the two system calls that a heartbeat has to make. */
const inFolders = ({ folder }) => [
	limit(
		'a heartbeat in a folder, Node: at most 4 times the floor',
		folder?.timesFloor.node,
		4,
		'x',
	),
	limit(
		'a heartbeat in a folder, Rust: at most 2 times the floor',
		folder?.timesFloor.rust,
		2,
		'x',
	),
	limit(
		'a heartbeat in a folder, Node: at most 3 us',
		folder?.medians?.node.find(({ store }) => store === 'folder')?.heartbeat,
		3,
		'us',
	),
	limit(
		'a heartbeat in a folder, Rust: at most 1.5 us',
		folder?.medians?.rust?.heartbeat,
		1.5,
		'us',
	),
	limit("a heartbeat in a folder: faster than LMDB's update", folder?.timesLmdb, 1, 'x'),
]

/** Beside the plain calls to the same server that do no more than each call has to. */
const inEtcd = ({ etcd }) => {
	const ratioOf = (name) => etcd?.calls?.[name].ratio
	const leases = etcd?.leasesPerSecond
	return [
		...['heartbeat', 'announce', 'claim', 'remove'].map((name) =>
			limit(`${name} in etcd: at most 1.3 times the plain calls`, ratioOf(name), 1.3, 'x'),
		),
		limit(
			'update of 100 entries in etcd: at most 1.5 times the plain calls',
			ratioOf('update'),
			1.5,
			'x',
		),
		limit('watch in etcd: a change seen within 3 times the plain watch', ratioOf('watch'), 3, 'x'),
		atLeast(
			'leases of 100,000 watchers in etcd, renewed every 15 s: one server renews them',
			leases && leases * 15,
			100_000,
			'watchers',
		),
	]
}

const WAITERS = ['argus-sync', 'argus-async', 'crate-update']

const waiting = (parts) =>
	WAITERS.map((name) => {
		const own = parts.waiting?.results.filter(({ contestant }) => contestant === name) ?? []
		const worst = own.length > 0 ? Math.max(...own.map(({ cpuMs }) => cpuMs)) : undefined
		return limit(`${name}, waiting 2 s for a held lock: under 5 ms of CPU`, worst, 5, 'ms')
	})

const startUp = (parts) => {
	const ours = parts['start-up']?.results.find(({ module }) => module === 'argus')
	const binary = parts['start-up']?.addonBytes
	return [
		limit('require: under 5 ms', ours?.ms, 5, 'ms'),
		limit('require: under 3 MB of memory', ours && ours.bytes / 1e6, 3, 'MB'),
		limit('the addon: at most 900 KB', binary && binary / 1e3, 900, 'KB'),
	]
}

export const checkTargets = (parts) => {
	const find = finder(parts)
	const burst = (name) => find('concurrent', name)?.opsPerSecond
	return [
		...alone(find),
		...ten(find),
		...endurance(find),
		atLeast(
			"1,000 calls at once in one process: at least 50 times older argus's throughput",
			ratio(burst('argus-async'), burst('older-argus')),
			50,
			'x',
		),
		large(parts),
		...inFolders(parts),
		...inEtcd(parts),
		...['argus-sync', 'argus-async'].map((name) =>
			limit(
				`${name}, SIGKILL of the holder: the next update's median under 5 ms`,
				find('recovery', name)?.median,
				5,
				'ms',
			),
		),
		...waiting(parts),
		...startUp(parts),
	]
}
