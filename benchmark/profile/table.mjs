// The tables of profiles. A profile is one contestant's: { contestant, processes, wallUs, p50Us, cpuUs,
// components }, times in microseconds per update, and `components` a map of them by name.

import { markdownTable } from '../../scripts/table.mjs'

/** A component with a smaller part of each contestant's processor time is counted as `else`. */
const MIN_SHARE = 0.03

const text = (us) => us.toFixed(Math.abs(us) < 9.95 ? 1 : 0)

const shareOf = ({ components, cpuUs }, name) => (components.get(name) ?? 0) / cpuUs

const largestShare = (profiles, name) =>
	Math.max(...profiles.map((profile) => shareOf(profile, name)))

const cell = (us, cpuUs) => (us > 0 ? `${text(us)} (${((us / cpuUs) * 100).toFixed(0)} %)` : '-')

/** Contestants side by side, so that a component can be compared. */
export const profileTable = (profiles) => {
	const names = [...new Set(profiles.flatMap(({ components }) => [...components.keys()]))]
	const shown = names
		.filter((name) => largestShare(profiles, name) >= MIN_SHARE)
		.sort((one, other) => largestShare(profiles, other) - largestShare(profiles, one))
	const elseUs = ({ components }) =>
		[...components].reduce((sum, [name, us]) => (shown.includes(name) ? sum : sum + us), 0)
	// In one process, what is no processor time is a wait. Of several, one works while another waits.
	const rest = profiles.every(({ processes }) => processes === 1)
		? ['waiting', ({ wallUs, cpuUs }) => text(wallUs - cpuUs)]
		: ['processors at work', ({ wallUs, cpuUs }) => (cpuUs / wallUs).toFixed(2)]
	const row = (name, value) => [name, ...profiles.map(value)]
	return markdownTable(
		row('us per update', ({ contestant }) => contestant),
		[
			row('time', ({ wallUs }) => text(wallUs)),
			row('median of a call', ({ p50Us }) => text(p50Us)),
			row('processor time', ({ cpuUs }) => text(cpuUs)),
			row(...rest),
			...shown.map((name) =>
				row(name, ({ components, cpuUs }) => cell(components.get(name) ?? 0, cpuUs)),
			),
			row('else', (profile) => cell(elseUs(profile), profile.cpuUs)),
		],
	)
}
