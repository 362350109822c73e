// Files of Debian's packages, without an installation: what this machine has, and its lists of packages, stay as they are.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The first Debian whose musl is new enough for a Node from PyPI: 1.2.4. Its qemu is linked statically. */
const DEBIAN = 'trixie'

/** The mirror that this machine's apt uses. */
const mirror = () => {
	const args = ['indextargets', '--format', '$(SITE)']
	const { stdout } = spawnSync('apt-get', args, { encoding: 'utf8' })
	return stdout?.split('\n').find((site) => site.endsWith('/debian'))
}

const download = (names, folder) => {
	const site = mirror()
	if (!site) throw new Error(`this is no Debian, from which ${names.join(', ')} would come`)
	mkdirSync(join(folder, 'lists', 'partial'), { recursive: true })
	const sources = join(folder, 'sources.list')
	writeFileSync(sources, `deb ${site} ${DEBIAN} main\n`)
	const options = [
		`Dir::Etc::sourcelist=${sources}`,
		'Dir::Etc::sourceparts=-',
		`Dir::State::Lists=${join(folder, 'lists')}`,
		// The list of this machine's packages stays as it is, and its lock is another user's.
		`Dir::Cache=${folder}`,
		'APT::Sandbox::User=',
	].flatMap((option) => ['-o', option])
	const apt = (...args) =>
		execFileSync('apt-get', [...options, ...args], { cwd: folder, stdio: 'inherit' })
	apt('--quiet', 'update')
	apt('--quiet', 'download', ...names)
	return readdirSync(folder).filter((name) => name.endsWith('.deb'))
}

/** Downloads packages, and extracts all of them into a folder. */
export const extractDebianPackages = (folder, names) => {
	const work = `${folder}.packages`
	rmSync(work, { recursive: true, force: true })
	try {
		for (const file of download(names, work)) {
			execFileSync('dpkg-deb', ['--extract', join(work, file), folder])
		}
	} finally {
		rmSync(work, { recursive: true, force: true })
	}
}
