'use strict'

// The platforms that the packages are made for. The loader, the launcher of the program, the build
// and its checks read this table; the loader of the store in etcd has a copy of it in its package.

/** The Rust target of each platform, by the name that the platform's npm package ends with. */
const targets = {
	'linux-x64-gnu': 'x86_64-unknown-linux-gnu',
	'linux-arm64-gnu': 'aarch64-unknown-linux-gnu',
	'linux-x64-musl': 'x86_64-unknown-linux-musl',
	'linux-arm64-musl': 'aarch64-unknown-linux-musl',
	'darwin-x64': 'x86_64-apple-darwin',
	'darwin-arm64': 'aarch64-apple-darwin',
	'win32-x64-msvc': 'x86_64-pc-windows-msvc',
	'win32-arm64-msvc': 'aarch64-pc-windows-msvc',
}

const platforms = Object.keys(targets)

/** The npm package with a platform's addon. @param {string} platform */
const packageOf = (platform) => `argus-registry-${platform}`

/** The file of a platform's addon, in its package and where it is built. @param {string} platform */
const addonFile = (platform) => `argus-registry.${platform}.node`

/** The npm package of the program, which installs the one of its platform. */
const PROGRAM_PACKAGE = 'argus-registry-cli'

/** The npm package with a platform's program. @param {string} platform */
const programPackageOf = (platform) => `${PROGRAM_PACKAGE}-${platform}`

/** The file of a platform's program, in its package and where it is built. @param {string} platform */
const programFile = (platform) =>
	`argus-registry.${platform}${platform.startsWith('win32-') ? '.exe' : ''}`

/** The npm package of the store in etcd, which installs the one of its platform. */
const ETCD_PACKAGE = 'argus-registry-etcd'

/** The npm package with a platform's addon of the store in etcd. @param {string} platform */
const etcdPackageOf = (platform) => `${ETCD_PACKAGE}-${platform}`

/** The file of that addon, in its package and where it is built. @param {string} platform */
const etcdAddonFile = (platform) => `${ETCD_PACKAGE}.${platform}.node`

/** The platforms that this process may be on: which C library Linux has is found out by trying. */
const platformsHere = () => {
	const here = `${process.platform}-${process.arch}`
	return platforms.filter((name) => name === here || name.startsWith(`${here}-`))
}

module.exports = {
	ETCD_PACKAGE,
	PROGRAM_PACKAGE,
	addonFile,
	etcdAddonFile,
	etcdPackageOf,
	packageOf,
	platforms,
	platformsHere,
	programFile,
	programPackageOf,
	targets,
}
