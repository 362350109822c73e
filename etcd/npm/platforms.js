'use strict'

// The platforms that the package is made for. The loader and the build read this table.

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

/** The npm package with a platform's addon. @param {string} platform */
const packageOf = (platform) => `argus-registry-etcd-${platform}`

/** The file of a platform's addon, in its package and where it is built. @param {string} platform */
const addonFile = (platform) => `argus-registry-etcd.${platform}.node`

/** The platforms that this process may be on: which C library Linux has is found out by trying. */
const platformsHere = () => {
	const here = `${process.platform}-${process.arch}`
	return Object.keys(targets).filter((name) => name === here || name.startsWith(`${here}-`))
}

module.exports = { addonFile, packageOf, platformsHere, targets }
