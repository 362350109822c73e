// Lays out every npm package as it is published, in a folder each. The tree is not published as it is: its main
// package names no package per platform, because `npm ci` could not install those before they are published.

import { execFileSync } from 'node:child_process'
import {
	chmodSync,
	copyFileSync,
	existsSync,
	mkdirSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle } from '../bundle.mjs'
import { noticesFor } from './notices.mjs'
import { filesFolder, packagesFolder, root } from './paths.mjs'
import { releaseTargets } from './targets.mjs'

const NOTICES = 'THIRD-PARTY-NOTICES.txt'

const json = (path) => JSON.parse(readFileSync(path, 'utf8'))

/**
 * Every package that has a file of one platform: its folder, its manifest, and its files that are not built yet.
 * Those in npm/ have addons, those in npm-cli/ programs.
 */
export const platformPackages = () =>
	['npm', 'npm-cli'].flatMap((group) =>
		readdirSync(join(root, group), { withFileTypes: true })
			.filter((entry) => entry.isDirectory())
			.map(({ name }) => {
				const folder = join(root, group, name)
				const manifest = json(join(folder, 'package.json'))
				const missing = manifest.files.filter((file) => !existsSync(join(filesFolder, file)))
				return { group, folder, manifest, missing }
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

/** The release target that a package is for. */
const releaseOf = ({ files }) =>
	releaseTargets.find(({ addon, program }) => files.includes(addon) || files.includes(program))

const stagePlatform = ({ folder: from, manifest }) => {
	const folder = makeFolder(manifest.name)
	for (const file of manifest.files) {
		copyFileSync(join(filesFolder, file), join(folder, file))
		// What has carried the files from one machine to another may have lost their modes.
		chmodSync(join(folder, file), file.endsWith('.node') ? 0o644 : 0o755)
	}
	copyFileSync(join(from, 'README.md'), join(folder, 'README.md'))
	writeFileSync(join(folder, NOTICES), noticesFor(releaseOf(manifest)))
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

/** The package that is imported: what npm would pack, and the names of the packages with addons. */
const stageMain = async (addons) => {
	await bundle()
	const { scripts, devDependencies, napi, ...published } = json(join(root, 'package.json'))
	const folder = makeFolder(published.name)
	copyPacked(root, folder)
	write(folder, { ...published, optionalDependencies: dependenciesOn(addons) })
	return folder
}

/** The package of the program, which names the packages with programs. */
const stageProgram = (programs) => {
	const from = join(root, 'npm-cli')
	const manifest = json(join(from, 'package.json'))
	const folder = makeFolder(manifest.name)
	copyPacked(from, folder)
	write(folder, { ...manifest, optionalDependencies: dependenciesOn(programs) })
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
	const addons = packages.filter(({ group }) => group === 'npm')
	const programs = packages.filter(({ group }) => group === 'npm-cli')
	return [
		...addons.map(stagePlatform),
		await stageMain(addons),
		...programs.map(stagePlatform),
		stageProgram(programs),
	]
}
