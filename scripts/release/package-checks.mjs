// What tools of others say about the packages as they would be published.

import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { installClient } from './clients.mjs'
import { packagesFolder, root } from './paths.mjs'

const PUBLINT = '0.3.25'
const ATTW = '0.18.5'

const check = (name, command, args, cwd = root) => {
	const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' })
	const output = `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`
	return { name, isRight: status === 0, output }
}

/** Several checks as one, with the output of those that failed. */
const together = (name, checks) => {
	const failed = checks.filter(({ isRight }) => !isRight)
	const output = failed.map((each) => `${each.name}: ${each.output}`).join('\n')
	return { name, isRight: failed.length === 0, output }
}

/** Checks the packages that are laid out, and the crate: `[{ name, isRight, output }]`. */
export const checkPackages = (folders) => {
	const publint = installClient('publint', PUBLINT, 'src/cli.js')
	const attw = installClient('@arethetypeswrong/cli', ATTW, 'dist/index.js')
	const main = join(packagesFolder, 'argus-registry')
	const pack = ['pack', main, '--json', '--pack-destination', packagesFolder]
	const [{ filename }] = JSON.parse(execFileSync('npm', pack, { encoding: 'utf8' }))
	return [
		together(
			`publint ${PUBLINT}, ${folders.length} packages`,
			folders.map((folder) =>
				check(folder, process.execPath, [publint, folder, '--strict', '--pack', 'false']),
			),
		),
		check(`attw ${ATTW}`, process.execPath, [
			...[attw, join(packagesFolder, filename)],
			// argus-registry-cli starts it; it has nothing to import, and so no types.
			...['--exclude-entrypoints', './bin/argus-registry.js'],
		]),
		// The gate compiles the crate as it would be published; here is what else `cargo publish` asks for.
		check('cargo publish --dry-run', 'cargo', [
			...['publish', '--dry-run', '--locked', '--no-verify', '--allow-dirty'],
		]),
	]
}
