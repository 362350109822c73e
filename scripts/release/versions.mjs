// One release is of one version: its manifests, and its files as far as they can say so here.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'
import { versionOf } from './runners.mjs'
import { platformPackages } from './stage.mjs'
import { releaseTargets } from './targets.mjs'

const textOf = (...path) => readFileSync(join(root, ...path), 'utf8')

/** Fails unless all manifests, and the built files that can run here, are of one version. */
export const checkVersions = (version, packages = platformPackages()) => {
	const [, cargo] = /^version = "(.+)"$/m.exec(textOf('Cargo.toml'))
	const found = [
		['Cargo.toml', cargo],
		['npm-cli/package.json', JSON.parse(textOf('npm-cli', 'package.json')).version],
		...packages.map(({ manifest }) => [manifest.name, manifest.version]),
	]
	for (const release of releaseTargets) {
		const files = packages.flatMap(({ manifest, missing }) =>
			missing.length ? [] : manifest.files,
		)
		for (const kind of ['addon', 'program'].filter((each) => files.includes(release[each]))) {
			found.push([release[kind], versionOf(release, kind).version ?? version])
		}
	}
	const other = found.find(([, each]) => each !== version)
	if (other) throw new Error(`package.json has ${version}, and ${other[0]} has ${other[1]}`)
}
