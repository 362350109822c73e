// The table of what ran on each platform.

import { markdownTable } from '../table.mjs'

/**
 * A suite's outcome: how many tests passed and failed, and those that were left out, each with its reason.
 * @typedef {{ platform: string, suite: string, passed: number, failed: number, seconds: number,
 *   leftOut: { test: string, reason: string }[] }} Suite
 */

/** How many tests have each reason, most first. @param {Suite} suite */
const reasonsOf = ({ platform, suite, leftOut }) => {
	const counts = new Map()
	for (const { reason } of leftOut) counts.set(reason, (counts.get(reason) ?? 0) + 1)
	return [...counts]
		.sort(([, a], [, b]) => b - a)
		.map(([reason, count]) => [platform, suite, count, reason])
}

/** The outcomes of suites, and below them the reasons for what was left out. @param {Suite[]} suites */
export const report = (suites) => {
	const outcomes = suites.map(({ platform, suite, passed, failed, leftOut }) => [
		...[platform, suite, passed, failed, leftOut.length],
	])
	const reasons = suites.flatMap(reasonsOf)
	return [
		markdownTable(['platform', 'suite', 'passed', 'failed', 'left out'], outcomes),
		...(reasons.length > 0
			? [markdownTable(['platform', 'suite', 'left out', 'because'], reasons)]
			: []),
	].join('\n\n')
}

/** Prints each test that was left out, with its reason, and the tables. @param {Suite[]} suites */
export const printReport = (suites) => {
	for (const { platform, suite, leftOut } of suites) {
		for (const { test, reason } of leftOut) {
			console.log(`${platform}: ${suite}: ${test}: left out: ${reason}`)
		}
	}
	console.log(`\n${report(suites)}`)
}
