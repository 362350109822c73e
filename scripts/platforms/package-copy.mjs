// A copy of this package with the files of one platform alone, as they are released: tests take those that they find for
// this machine's.

import { execFileSync, spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { basename, join } from 'node:path'
import { linkEtcdPackage } from '../build.mjs'
import { bundle } from '../bundle.mjs'
import { filesFolder, root } from '../release/paths.mjs'
import { kindNames, kinds, releaseTargets } from '../release/targets.mjs'

const copyTree = (folder) => {
	const builtFiles = releaseTargets.flatMap((other) =>
		Object.keys(kinds).map((kind) => other[kind]),
	)
	mkdirSync(folder)
	for (const name of readdirSync(root).filter((name) => !['.git', 'target'].includes(name))) {
		cpSync(join(root, name), join(folder, name), {
			recursive: true,
			verbatimSymlinks: true,
			filter: (path) => !builtFiles.includes(basename(path)),
		})
	}
	linkEtcdPackage(folder)
	symlinkSync(join(root, 'target'), join(folder, 'target'))
}

/** Programs in Rust that tests start. They would be built within the time of the first of those tests. */
const buildExamples = (folder) => {
	const args = ['build', '--locked', '--quiet', '--features', 'cli,tokio', '--examples']
	execFileSync('cargo', args, { cwd: folder, stdio: 'inherit' })
}

/** Builds the files of a release target, or some kinds of them, and puts them into a copy of this package in a new folder. */
export const buildPackageCopy = async (release, folder, chosenKinds = kindNames) => {
	await bundle()
	const script = join(root, 'scripts', 'release', 'build.mjs')
	for (const kind of chosenKinds) {
		const args = [script, release.platform, '--only', kind]
		const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
		if (status !== 0) throw new Error(`the ${kind} of ${release.platform} can't be built`)
	}
	copyTree(folder)
	buildExamples(folder)
	// Where the loaders look for the file of each kind.
	const folders = { addon: folder, program: folder, etcdAddon: join(folder, 'etcd', 'npm') }
	for (const kind of chosenKinds) {
		copyFileSync(join(filesFolder, release[kind]), join(folders[kind], release[kind]))
	}
}
