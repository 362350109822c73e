// The tests that Wine can't pass, by what it lacks. A probe shows each lack when the tests run: once a Wine has it, the run
// fails until the tests are taken off this list.

/**
 * What Wine lacks.
 *
 * - `probe`: a module for Node under Wine, in an empty folder. It prints `lacks` or `has`.
 * - `rust`: names of Rust tests.
 * - `javaScript`: names of tests by file below `__test__/`, or `all` of the file.
 *
 * @typedef {{ lack: string, probe: string, rust?: string[], javaScript?: Record<string, string[] | 'all'> }} Lack
 */

/** @type {Lack[]} */
export const lacks = [
	{
		lack: 'Wine replaces no file that a program has open',
		probe: `
			fs.writeFileSync('old', 'old')
			fs.writeFileSync('new', 'new')
			fs.openSync('old', 'r')
			try {
				fs.renameSync('new', 'old')
				console.log('has')
			} catch ({ code }) {
				console.log(code === 'EPERM' || code === 'EBUSY' || code === 'EACCES' ? 'lacks' : code)
			}`,
		rust: ['document::processes::load_then_save_loses_updates'],
		javaScript: {
			'locking/concurrency.test.mjs': [
				'processes of old argus mixed with processes of this package: no overlap, nothing lost',
				'readers beside writers see whole registries, never an older one after a newer',
			],
		},
	},
	{
		lack: 'in Wine a file that is deleted while a program has it open keeps its name until it is closed',
		probe: `
			fs.writeFileSync('deleted', '')
			fs.openSync('deleted', 'r')
			fs.unlinkSync('deleted')
			console.log(fs.readdirSync('.').includes('deleted') ? 'lacks' : 'has')`,
		javaScript: {
			'api/document-locks.test.mjs': [
				'a lock file that is deleted while it is held: the update runs again, on what is there by then',
				'a lock file that is deleted while it is held, with no time left: the update is lost, and nothing is written',
			],
			'codec/batches.test.mjs': [
				'lock-file: an updater that was given what was lost with the lock runs again, on what is in the file',
				'registry: an updater that was given what was lost with the lock runs again, on what is in the file',
			],
			'locking/batch.test.mjs': [
				'all updates of a batch run again if its lock is lost before the commit (last one sync)',
				'all updates of a batch run again if its lock is lost before the commit (last one async)',
			],
		},
	},
	{
		lack: 'Wine resolves no symbolic link in a path',
		probe: `
			fs.mkdirSync('folder')
			fs.writeFileSync('folder/file', '')
			fs.symlinkSync('folder', 'link')
			try {
				const real = fs.realpathSync.native('link/file')
				console.log(real.includes('link') ? 'lacks' : 'has')
			} catch ({ code }) {
				console.log(code === 'ENOENT' ? 'lacks' : code)
			}`,
		javaScript: {
			'api/document-waits.test.mjs': [
				'documents that share a lock file exclude each other, by whatever names',
			],
			'api/document-watch.test.mjs': [
				'a watch follows the path that the document had at construction, and the links in it',
			],
			'api/document.test.mjs': [
				'the lock file is beside the file itself, or where the options say',
				'a lock file that would be the document, or a registry’s lockfile or guard, is refused by every call',
			],
			'api/files.test.mjs': [
				'two names of one file have one lock',
				'a symbolic link stays, and its target gets the update',
			],
		},
	},
	{
		lack: 'there is no cargo for Windows here',
		probe: `console.log(spawnSync('cargo', ['--version']).error ? 'lacks' : 'has')`,
		javaScript: {
			'api/claims-and-pruning.test.mjs': [
				'100 processes, Node and Rust, that claim one id at once get 100',
			],
			'api/document-locks.test.mjs': [
				'a file used under lock-file in one language is refused under registry in the other',
				'a file used under registry in one language is refused under lock-file in the other',
				'lock-file: 4 processes of Node and 4 of Rust x 200 updates: the exact count, no overlap',
				'registry: 4 processes of Node and 4 of Rust x 200 updates: the exact count, no overlap',
			],
			'locking/concurrency.test.mjs': [
				'16 processes x 500 increments, Node and Rust mixed: the exact count, no overlap',
			],
		},
	},
	{
		lack: 'in Wine Node finds no home where USERPROFILE is empty',
		probe: `
			const env = { ...process.env, USERPROFILE: '' }
			const asked = 'console.log(require("os").homedir())'
			const { status, stderr } = spawnSync(process.execPath, ['-e', asked], { env, encoding: 'utf8' })
			console.log(status === 0 ? 'has' : stderr.includes('ERR_SYSTEM_ERROR') ? 'lacks' : stderr)`,
		javaScript: {
			'api/registry-path.test.mjs': [
				'a home that is unset or empty is that of os.homedir()',
				'a relative home is refused, in both languages',
			],
		},
	},
]

/** Why a Rust test is left out; undefined if it is run. @param {string} test */
export const whyNotRust = (test) => lacks.find(({ rust = [] }) => rust.includes(test))?.lack

/**
 * The tests of a JavaScript file that are left out, each with its reason; `all` if no test of the file is run.
 *
 * @param {string} file
 * @returns {{ all?: string, tests: { test: string, reason: string }[] }}
 */
export const leftOutOf = (file) => {
	const name = file.replace(/^__test__\//, '')
	const entries = lacks.map(({ lack, javaScript = {} }) => ({
		lack,
		tests: javaScript[name] ?? [],
	}))
	const whole = entries.find(({ tests }) => tests === 'all')
	if (whole) return { all: whole.lack, tests: [] }
	return {
		tests: entries.flatMap(({ lack, tests }) => tests.map((test) => ({ test, reason: lack }))),
	}
}
