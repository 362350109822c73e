// What a run measures and for how long: in a full run, and in a quick one that shows whether
// everything works.

const full = {
	rounds: 3,
	oneProcessSeconds: 0.8,
	closedSeconds: 1.5,
	processes: [2, 4, 10, 32, 64],
	/** Of durable contestants and on tmpfs: one number shows that their order changes little. */
	processesElsewhere: [10],
	watcherSeconds: 2.4,
	watcherPeriodMs: 150,
	readerSeconds: 1.5,
	concurrentCalls: 1_000,
	sizes: [1, 10, 100, 1_000, 10_000],
	folderSizes: [10, 1_000, 10_000],
	/** Ten times as often as argus, so that a second shows what fifteen would. */
	folderPeriodMs: 1_500,
	etcdCalls: 1_000,
	etcdStepSeconds: 3,
	sizeTurns: 8,
	sizeBudgetMs: 150,
	recoveries: 15,
	waits: 2,
	startUps: 11,
	enduranceSeconds: 60,
}

const quick = {
	...full,
	rounds: 1,
	oneProcessSeconds: 0.2,
	closedSeconds: 0.6,
	processes: [10],
	processesElsewhere: [],
	watcherSeconds: 0.9,
	readerSeconds: 0.4,
	etcdCalls: 60,
	etcdStepSeconds: 0.5,
	sizeTurns: 3,
	sizeBudgetMs: 20,
	recoveries: 5,
	waits: 1,
	startUps: 5,
	enduranceSeconds: 3,
}

/** Options of the command line take precedence over both. */
export const settingsOf = ({ quick: isQuick, rounds, seconds, processes }) => ({
	...(isQuick ? quick : full),
	...(rounds && { rounds, waits: rounds }),
	...(seconds && { oneProcessSeconds: seconds, closedSeconds: seconds, readerSeconds: seconds }),
	...(processes && { processes, processesElsewhere: processes }),
})
