// The tests that Wine can't pass, by what it lacks.

import { nodeVersion } from '../release/wine.mjs'

/** @type {import('./lacks.mjs').Lack[]} */
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
		// The file of a folder's entry is open as long as its watcher lives.
		rust: [
			'document::processes::load_then_save_loses_updates',
			'folder::claims::an_entry_that_another_process_removed_or_replaced_is_lost_and_not_restored',
			'folder::claims::heartbeats_that_come_while_an_update_runs_count',
			'folder::files::a_change_is_read_however_soon_it_comes_and_whatever_the_files_times_are',
			'folder::files::entries_that_are_there_throughout_are_always_read_while_others_come_and_go',
			'store::changes::folder::a_claim_survives_the_updates_of_its_process',
			'store::entries::folder::a_heartbeat_with_another_record_writes_its_fields',
			'store::entries::folder::announcing_replaces_the_entry_of_the_id',
			'store::mirror::different_watchers_with_one_id_stay_both_and_the_one_that_remains_is_copied',
			'store::mirror::each_side_has_the_entries_of_both',
		],
		javaScript: {
			'locking/concurrency.test.mjs': [
				'processes of old argus mixed with processes of this package: no overlap, nothing lost',
				'readers beside writers see whole registries, never an older one after a newer',
			],
			'playground/playground.test.mjs': [
				`starting 10 watchers on Node ${nodeVersion} in a folder drops no entry, loses no update and takes no lock away`,
				'without a lock the same run loses updates, and the account says so',
			],
			'store/changes.test.mjs': ['folder: a claim survives the updates of its process'],
			'store/entries.test.mjs': [
				'folder: a heartbeat with another record writes its fields',
				'folder: announcing replaces the entry of the id',
				'folder: operations that are not awaited are done in order',
			],
			'store/mirror.test.mjs': [
				'file: older programs and newer ones see all watchers',
				'folder: older programs and newer ones see all watchers',
				'ids that different watchers have on the two sides are told, and both stay',
				'of several processes one mirrors at a time, and another takes over when it is killed',
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
		rust: [
			'doctor::litter::a_removed_guard_is_reported_and_an_unrelated_file_under_its_name_fails',
			'folder::files::a_registry_that_is_read_again_is_as_it_is_by_then',
			'folder::files::an_entry_is_a_file_with_the_record_as_javascript_prints_it',
			'folder::files::an_update_runs_again_if_a_watcher_claims_the_id_that_it_adds',
			'watch::registry_watch::folders_that_are_deleted_and_made_again_under_one_name_are_watched',
		],
		javaScript: {
			'api/document-locks.test.mjs': [
				'a lock file that is deleted while it is held: the update runs again, on what is there by then',
				'a lock file that is deleted while it is held, with no time left: the update is lost, and nothing is written',
			],
			'api/watch.test.mjs': ['folders that are missing, deleted, created again or replaced'],
			'codec/batches.test.mjs': [
				'lock-file: an updater that was given what was lost with the lock runs again, on what is in the file',
				'registry: an updater that was given what was lost with the lock runs again, on what is in the file',
			],
			'locking/batch.test.mjs': [
				'all updates of a batch run again if its lock is lost before the commit (last one sync)',
				'all updates of a batch run again if its lock is lost before the commit (last one async)',
			],
			'locking/holding.test.mjs': [
				'a release of a lock that was taken over leaves the successor’s lock',
				'an update that lost its lock runs again on fresh content, within its timeout',
				'an updater that lost another registry’s lock fails with that, and does not run again',
				'withRegistryLock says when its lock was lost, and its lock writes nothing then',
			],
			'locking/lost-after-write.test.mjs': [
				'an update that was committed before an async one of its batch gets a warning, if that one loses the lock',
				...['withRegistryLock', 'withLock, lock-file', 'withLock, registry'].flatMap((call) => [
					`${call}: a function that fails after a write gets a warning of a lost lock`,
					`${call}: a lock that is lost after a write is an error that does not say that nothing was written`,
				]),
			],
			'locking/queue.test.mjs': [
				'an abort counts when the lock was lost and the update would run again',
			],
			'locking/reentrancy.test.mjs': [
				'a write that lost its lock needs its thread again: a sync update is refused',
			],
			'store/folder.test.mjs': [
				'an entry is a file of its own, as JSON.stringify prints the record',
			],
		},
	},
	{
		lack: 'Wine deletes no folder that a program is listing',
		probe: `
			fs.mkdirSync('listed')
			fs.opendirSync('listed')
			try {
				fs.rmdirSync('listed')
				console.log('has')
			} catch ({ code }) {
				console.log(code === 'EBUSY' ? 'lacks' : code)
			}`,
		javaScript: {
			'api/watch.test.mjs': ['a folder that a process had open is deleted and created again'],
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
		lack: 'Wine makes no junctions',
		probe: `
			fs.mkdirSync('folder')
			try {
				fs.symlinkSync('folder', 'junction', 'junction')
				console.log('has')
			} catch ({ code }) {
				console.log(code === 'ENOTSUP' ? 'lacks' : code)
			}`,
		javaScript: {
			'addon/bundling.test.mjs': ['CommonJS', 'ES module'].map(
				(format) =>
					`esbuild, ${format}: a bundle finds the addon of a library’s package in a store`,
			),
			'cli/launcher.test.mjs': [
				'a store that shows the program’s packages only to argus-registry-cli',
			],
			'store/folder.test.mjs': ['every spelling of the path leads to one registry'],
		},
	},
	{
		lack: 'Wine has other words than Windows for a file that is no library',
		probe: `
			fs.writeFileSync('text.node', 'text')
			try {
				process.dlopen({ exports: {} }, path.resolve('text.node'))
			} catch ({ message }) {
				console.log(message.includes('Bad EXE format') ? 'lacks' : 'has')
			}`,
		javaScript: {
			'addon/one-file.test.mjs': [
				'an addon of which a part is missing: the error says that it is damaged',
				'an addon that is no library: the error has the system’s reason',
			],
		},
	},
	{
		lack: 'there is no git for Windows here',
		probe: `console.log(spawnSync('git', ['--version']).error ? 'lacks' : 'has')`,
		javaScript: {
			'docs/guide-adoption.test.mjs': [
				'a module that does not fit argus is noticed',
				'an argus with reservations compiles, strictly, on the copied modules',
				'an argus with reservations is changed once, and only what is committed',
				'an argus without reservations compiles, strictly, on the copied modules',
				'an argus without reservations is changed once, and only what is committed',
				'what is no argus, or one that is not known, is refused',
			],
			'docs/guide-heartbeat.test.mjs': 'all',
			'docs/guide-ids.test.mjs': 'all',
			'docs/guide-registry.test.mjs': 'all',
			'docs/guide-start.test.mjs': 'all',
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
			'locking/lifecycle.test.mjs': ['SIGKILL at random points of Rust’s updates, 200 times'],
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
