// The speed that was promised, beside what was measured.

const limit = (target, measured, bound, unit, isAtLeast = false) => {
	const isMet = isAtLeast ? measured >= bound : measured <= bound
	return { target, measured, bound, unit, verdict: isMet ? 'ok' : 'MISSED' }
}

export const checkTargets = (results, recovery, startUp, { burst, large, hop, idle }) => {
	const of = (name, processes) =>
		results.find((result) => result.contestant === name && result.processes === processes)
	const rows = []
	for (const [name, bound] of [
		['argus-sync', 1.5],
		['argus-async', 2.5],
	]) {
		const ours = of(name, 1)
		if (ours && !Number.isNaN(ours.timesFloor)) {
			const target = `${name}, 1 process: at most ${bound} times the floor`
			rows.push(limit(target, ours.timesFloor, bound, 'x'))
		}
	}
	const seed = of('seed-lock', 10)
	for (const name of ['argus-sync', 'argus-async']) {
		const ours = of(name, 10)
		if (!ours || !seed) continue
		const faster = ours.opsPerSecond / seed.opsPerSecond
		const target = `${name}, 10 processes: at least 3 times the seed lock's throughput`
		rows.push(limit(target, faster, 3, 'x', true))
		const p99 = `${name}, 10 processes: p99 at most a fifth of the seed lock's`
		rows.push(limit(p99, ours.p99 / seed.p99, 0.2, 'x'))
	}
	for (const kind of ['sync', 'async']) {
		const target = `SIGKILL of a holder: the next update (${kind}) within 50 ms, at worst`
		rows.push(limit(target, recovery[kind].max, 50, 'ms'))
	}
	for (const name of ['argus-heartbeat', 'argus-announce', 'argus-heartbeat-durable']) {
		const [ours, floor] = [of(name, 1), of(name.endsWith('durable') ? 'floor-durable' : 'floor', 1)]
		if (!ours || !floor) continue
		const target = `${name}, 1 process: at most 1.5 times the floor, and one hop (p50)`
		rows.push(limit(target, (ours.p50 - hop.p50) / floor.p50, 1.5, 'x'))
	}
	const calls = `${burst.calls} calls at once: at least 20 times the seed lock's throughput`
	rows.push(limit(calls, burst.ratio, 20, 'x', true))
	const among = `a heartbeat among ${large.entries} entries: at most 10 ms over reading and writing them`
	rows.push(limit(among, large.heartbeat - large.copy, 10, 'ms'))
	rows.push(
		limit(
			'an idle heartbeat and watch: no CPU (under 1 ms a second)',
			idle.cpuMs / idle.seconds,
			1,
			'ms/s',
		),
	)
	rows.push(limit('require: under 10 ms', startUp.ms.median, 10, 'ms'))
	rows.push(limit('require: under 5 MB of memory', startUp.bytes.median / 1e6, 5, 'MB'))
	return rows
}
