// Lays out every npm package as it is published, in a folder each. The tree is not published as it is: its main
// package names no package per platform, because `npm ci` could not install those before they are published.

import { execFileSync } from 'node:child_process'
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle } from '../bundle.mjs'
import { noticesFor } from './notices.mjs'
import { filesFolder, packagesFolder, root } from './paths.mjs'
import { kinds, releaseTargets } from './targets.mjs'

const NOTICES = 'THIRD-PARTY-NOTICES.txt'

const json = (path) => JSON.parse(readFileSync(path, 'utf8'))

/** Every package that has a file of one platform: its folder, its manifest, and its files that are not built yet. */
export const platformPackages = () =>
	Object.entries(kinds).flatMap(([kind, { group }]) =>
		releaseTargets.map((release) => {
			const folder = join(root, group, release.platform)
			const manifest = json(join(folder, 'package.json'))
			const missing = manifest.files.filter((file) => !existsSync(join(filesFolder, file)))
			return { kind, release, folder, manifest, missing }
		}),
	)

const write = (folder, manifest) =>
	writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, '\t')}\n`)

/** An empty folder for a package, with the project's licence. */
const makeFolder = (name) => {
	const folder = join(packagesFolder, name)
	mkdirSync(folder, { recursive: true })
	copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
	return folder
}

const stagePlatform = ({ kind, release, folder: from, manifest }) => {
	const folder = makeFolder(manifest.name)
	for (const file of manifest.files) {
		copyFileSync(join(filesFolder, file), join(folder, file))
		// What has carried the files from one machine to another may have lost their modes.
		chmodSync(join(folder, file), kinds[kind].isAddon ? 0o644 : 0o755)
	}
	copyFileSync(join(from, 'README.md'), join(folder, 'README.md'))
	writeFileSync(join(folder, NOTICES), noticesFor(release, kind))
	write(folder, { ...manifest, files: [...manifest.files, NOTICES] })
	return folder
}

/** Lays out the files that npm would pack of a folder. */
const copyPacked = (from, folder) => {
	const npm = ['pack', '--dry-run', '--json', '--ignore-scripts']
	const [{ files }] = JSON.parse(execFileSync('npm', npm, { cwd: from, encoding: 'utf8' }))
	for (const { path, mode } of files) {
		mkdirSync(dirname(join(folder, path)), { recursive: true })
		copyFileSync(join(from, path), join(folder, path))
		chmodSync(join(folder, path), mode)
	}
}

/** Each package's name and version, as dependencies of another. */
const dependenciesOn = (packages) =>
	Object.fromEntries(packages.map(({ manifest: { name, version } }) => [name, version]))

/** A main package: what npm would pack, and the names of its packages per platform. */
const stageMain = (main, packages) => {
	const from = join(root, main)
	const { scripts, devDependencies, ...published } = json(join(from, 'package.json'))
	const folder = makeFolder(published.name)
	copyPacked(from, folder)
	write(folder, { ...published, optionalDependencies: dependenciesOn(packages) })
	return folder
}

/**
 * Lays out all packages, with those of all platforms or of some; returns their folders, in the order in which they
 * have to be published: a package after those that it names. Others are not named: yarn and Deno install nothing
 * if one is not published.
 */
export const stage = async (packages = platformPackages()) => {
	const incomplete = packages.find(({ missing }) => missing.length > 0)
	if (incomplete) {
		const { manifest, missing } = incomplete
		throw new Error(
			`${manifest.name} has no ${missing.join(' and ')}: build it with \`npm run release:build\``,
		)
	}
	rmSync(packagesFolder, { recursive: true, force: true })
	await bundle()
	return Object.entries(kinds).flatMap(([kind, { main }]) => {
		const own = packages.filter((each) => each.kind === kind)
		return [...own.map(stagePlatform), stageMain(main, own)]
	})
}
