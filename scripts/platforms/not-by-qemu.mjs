// The tests that are left out where programs for arm64 are emulated: by what qemu and its user namespace lack, and the
// files of JavaScript tests that show nothing new.

import { leftOutOf as lackingOf } from './lacks.mjs'

/** @type {import('./lacks.mjs').Lack[]} */
export const lacks = [
	{
		lack: 'qemu answers /proc/self/stat with the start of the thread that reads it',
		probe: `
			import { Worker } from 'node:worker_threads'
			const start = (stat) => stat.replace(/.*\\)/s, '').split(' ')[20]
			await new Promise((resolve) => setTimeout(resolve, 200))
			const asked = \`
				const { parentPort } = require('node:worker_threads')
				parentPort.postMessage(require('node:fs').readFileSync('/proc/self/stat', 'utf8'))\`
			const of = { process: fs.readFileSync('/proc/self/stat', 'utf8') }
			new Worker(asked, { eval: true }).on('message', (stat) => {
				console.log(start(stat) === start(of.process) ? 'has' : 'lacks')
			})`,
		rust: ['sys::unix::processes::tests::the_start_of_this_process_is_that_which_the_system_tells'],
	},
	{
		lack: 'in a user namespace no file can be made immutable',
		probe: `
			fs.writeFileSync('file', '')
			const { status, stderr } = spawnSync('chattr', ['+i', 'file'], { encoding: 'utf8' })
			if (status === 0) spawnSync('chattr', ['-i', 'file'])
			const isRefused = stderr.includes('Operation not permitted')
			console.log(status === 0 ? 'has' : isRefused ? 'lacks' : stderr)`,
		rust: ['files::mounts::an_immutable_file_or_folder_is_told_from_a_wrong_mode'],
	},
	{
		lack: 'in a user namespace /proc can’t be mounted for processes outside of it',
		probe: `
			const mount = 'mount -t proc -o hidepid=invisible proc /proc'
			const args = ['--mount', 'sh', '-c', mount]
			const { status, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
			const isRefused = stderr.includes('permission denied')
			console.log(status === 0 ? 'has' : isRefused ? 'lacks' : stderr)`,
		rust: [
			'registry::pid_namespaces::a_user_from_whom_processes_are_hidden_judges_no_entry_of_an_older_argus',
		],
	},
	{
		lack: 'qemu maps libraries from a file system that forbids execution',
		probe: `
			const library = process.env.QEMU_LD_PREFIX + '/lib/libm.so.6'
			const script = 'mount -t tmpfs -o noexec tmpfs /mnt && cp "$1" /mnt/library && exec "$2" -e "$3"'
			const load = 'process.dlopen({ exports: {} }, "/mnt/library")'
			const args = ['--mount', 'sh', '-c', script, 'sh', library, process.execPath, load]
			const { stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
			const isRefused = stderr.includes('failed to map segment')
			console.log(isRefused ? 'has' : stderr.includes('did not self-register') ? 'lacks' : stderr)`,
		javaScript: {
			'addon/one-file.test.mjs': ['a file system that forbids execution: the error says so'],
		},
	},
	{
		lack: 'qemu answers /proc/self/exe where no /proc is mounted',
		probe: `
			const script = 'mount -t tmpfs none /proc && exec "$1" -e "$2"'
			const link = 'console.log(require("node:fs").readlinkSync("/proc/self/exe"))'
			const args = ['--mount', 'sh', '-c', script, 'sh', process.execPath, link]
			const { stdout, stderr } = spawnSync('unshare', args, { encoding: 'utf8' })
			const isMissing = stderr.includes('ENOENT')
			console.log(stdout.trim() === process.execPath ? 'lacks' : isMissing ? 'has' : stderr)`,
		rust: ['doctor::folders::without_proc_the_doctor_says_that_it_needs_it'],
	},
	{
		// Node starts programs in another way, so that no probe can show it.
		lack: 'qemu forks where posix_spawn shares memory: that a program can’t be started is not told',
		rust: ['exit_codes::every_exit_code_of_every_command'],
	},
	{
		lack: '100 emulated processes take many minutes until each had its turn',
		rust: ['store::entries::file::claims_of_many_processes_get_an_id_each'],
	},
	{
		lack: 'it starts a Bun, and the one that is installed is for x64',
		javaScript: {
			'addon/one-file.test.mjs': [
				'a compiled Bun program, with the addon beside it, started from another folder',
				'index.js and the addon, copied to a folder, are the whole package for Node and Bun',
				'index.js and the addon, copied to a folder, compile to a program with the addon beside it',
			],
		},
	},
]

const EMULATED = 'the same JavaScript as on x64, and its processes take ten times as long emulated'

/** The files below `__test__/` that are run: of what the system does for the package, and of how the addon is loaded. */
const tested = [
	'addon/copies',
	'addon/loaded-whole',
	'addon/one-file',
	'addon/workers',
	'api/claims-and-pruning',
	'api/document-locks',
	'api/document-threads',
	'api/document-watch',
	'api/entries',
	'api/entry-races',
	'api/file-errors',
	'api/files',
	'api/heartbeat',
	'api/pid-namespaces',
	'api/try-lock',
	'api/watch',
	'api/watch-ends',
	'api/watch-resources',
	'cli/launcher',
	'locking/batch',
	'locking/durability',
	'locking/event-loop',
	'locking/guard',
	'locking/holding',
	'locking/leaving',
	'locking/lifecycle',
	'locking/lockfile',
	'locking/lost-after-write',
	'locking/queue',
	'locking/reentrancy',
	'locking/refused-threads',
	'store/folder',
	'store/mirror',
].map((name) => `__test__/${name}.test.mjs`)

/** What is left out of a file of JavaScript tests: all of it, or some tests, each with its reason. */
export const leftOutOf = (file) =>
	tested.includes(file) ? lackingOf(lacks, file) : { all: EMULATED, tests: [] }
