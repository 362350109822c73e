// What tools of others say about the packages as they would be published.

import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import platforms from '../../lib/addon/platforms.js'
import { installClient } from './clients.mjs'
import { packagesFolder, root } from './paths.mjs'

const { ETCD_PACKAGE } = platforms

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

/** What attw says of the types of a package that is laid out. */
const checkTypes = (attw, name, args = []) => {
	const pack = ['pack', join(packagesFolder, name), '--json', '--pack-destination', packagesFolder]
	const [{ filename }] = JSON.parse(execFileSync('npm', pack, { encoding: 'utf8' }))
	return check(name, process.execPath, [attw, join(packagesFolder, filename), ...args])
}

/** Checks the packages that are laid out, and the crates: `[{ name, isRight, output }]`. */
export const checkPackages = (folders) => {
	const publint = installClient('publint', PUBLINT, 'src/cli.js')
	const attw = installClient('@arethetypeswrong/cli', ATTW, 'dist/index.js')
	return [
		together(
			`publint ${PUBLINT}, ${folders.length} packages`,
			folders.map((folder) =>
				check(folder, process.execPath, [publint, folder, '--strict', '--pack', 'false']),
			),
		),
		together(`attw ${ATTW}, 2 packages`, [
			// argus-registry-cli starts it; it has nothing to import, and so no types.
			checkTypes(attw, 'argus-registry', ['--exclude-entrypoints', './bin/argus-registry.js']),
			checkTypes(attw, ETCD_PACKAGE),
		]),
		// The gate compiles the core as it would be published; here is what else `cargo publish` asks for. Together: the
		// second crate needs the first, which the registry of crates need not have in this version.
		check('cargo publish --dry-run, 2 crates', 'cargo', [
			...['publish', '--dry-run', '--locked', '--no-verify', '--allow-dirty'],
			...['-p', 'argus-registry', '-p', ETCD_PACKAGE],
		]),
	]
}
