// One release is of one version: its manifests, and its files as far as they can say so here.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'
import { versionOf } from './runners.mjs'
import { platformPackages } from './stage.mjs'
import { kindNames, kinds, releaseTargets } from './targets.mjs'

const textOf = (...path) => readFileSync(join(root, ...path), 'utf8')

/**
 * What the manifests of the crates say: the version of each crate, and those of the crates here that it depends on, by
 * which it is built once it is published. `[[what, version]]`.
 */
export const crateVersions = () =>
	['Cargo.toml', 'etcd/Cargo.toml', 'etcd/node/Cargo.toml'].flatMap((path) => {
		const text = textOf(path)
		const needed = [...text.matchAll(/^(argus-registry\S*) = .*\bversion = "(.+?)"/gm)]
		return [
			[path, /^version = "(.+)"$/m.exec(text)[1]],
			...needed.map(([, name, version]) => [`${name} in ${path}`, version]),
		]
	})

/** The versions of the main packages other than the one in the root. */
const mainVersions = () =>
	Object.values(kinds)
		.filter(({ main }) => main !== '.')
		.map(({ main }) => [`${main}/package.json`, JSON.parse(textOf(main, 'package.json')).version])

/** Fails unless all manifests, and the built files that can run here, are of one version. */
export const checkVersions = (version, packages = platformPackages()) => {
	const found = [
		...crateVersions(),
		...mainVersions(),
		...packages.map(({ manifest }) => [manifest.name, manifest.version]),
	]
	const files = packages.flatMap(({ manifest, missing }) => (missing.length ? [] : manifest.files))
	for (const release of releaseTargets) {
		for (const kind of kindNames.filter((each) => files.includes(release[each]))) {
			found.push([release[kind], versionOf(release, kind).version ?? version])
		}
	}
	const other = found.find(([, each]) => each !== version)
	if (other) throw new Error(`package.json has ${version}, and ${other[0]} has ${other[1]}`)
}
