// The table of what ran on each platform.

/**
 * A suite's outcome: how many tests passed and failed, and those that were skipped, each with its reason.
 * @typedef {{ platform: string, suite: string, passed: number, failed: number, seconds: number,
 *   skipped: { test: string, reason: string }[] }} Suite
 */

/** Prints one row for each suite, and below it each skipped test with its reason. @param {Suite[]} suites */
export const printTable = (suites) => {
	const cells = [
		['platform', 'suite', 'passed', 'failed', 'skipped', 'seconds'],
		...suites.map(({ platform, suite, passed, failed, skipped, seconds }) =>
			[platform, suite, passed, failed, skipped.length, seconds.toFixed(0)].map(String),
		),
	]
	const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)))
	const pad = (cell, column) =>
		column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
	for (const { platform, suite, skipped } of suites) {
		for (const { test, reason } of skipped) {
			console.log(`${platform}: ${suite}: ${test}: skipped: ${reason}`)
		}
	}
	console.log()
	for (const row of cells) console.log(row.map(pad).join('  ').trimEnd())
}
