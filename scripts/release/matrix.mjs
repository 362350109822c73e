// Prints what the release workflow builds where, as the `include` list of a matrix: one row for each machine,
// with the platforms that it builds.

import { releaseTargets } from './targets.mjs'

const machines = [...new Set(releaseTargets.map(({ machine }) => machine))]
const include = machines.map((machine) => ({
	machine,
	platforms: releaseTargets
		.filter((release) => release.machine === machine)
		.map(({ platform }) => platform)
		.join(' '),
}))
console.log(`matrix=${JSON.stringify({ include })}`)
