// The tests that are left out for musl: Rust tests, whose programs are linked statically, and JavaScript tests.

const STATIC = 'a library that alters calls of the system can’t be loaded into a static program'

const staticTests = [
	'doctor::file_systems::a_lock_call_that_never_returns_does_not_block_the_doctor',
	'doctor::file_systems::an_fsync_that_fails_and_a_full_disk_fail',
	'doctor::file_systems::files_that_can_not_have_two_names_are_a_warning',
	'doctor::file_systems::missing_kernel_locks_fail',
	'doctor::file_systems::nothing_is_deleted_where_locks_do_not_exclude',
	'doctor::file_systems::replacements_that_are_not_atomic_fail',
	'doctor::file_systems::unreliable_locks_fail',
	'document::faults::a_document_that_is_deleted_before_it_is_locked_is_not_found',
	'document::faults::a_document_that_is_deleted_while_its_lock_is_taken_is_not_found',
	'document::faults::a_document_without_kernel_locks_is_read_and_not_written',
	'document::faults::a_temp_file_that_is_deleted_as_litter_is_reported_as_a_lost_lock',
	'document::first_use::a_document_call_that_makes_its_lock_file_after_a_registry_call_has_gone_on_is_refused',
	'document::first_use::a_process_that_is_killed_before_it_has_decided_leaves_the_file_to_either_kind',
	'document::first_use::a_registry_call_that_makes_its_guard_after_a_document_call_has_gone_on_is_refused',
	'files::atomic_write::a_durable_update_syncs_the_file_before_the_rename_and_the_folder_after_it',
	'files::atomic_write::a_durable_update_that_changes_nothing_makes_durable_what_it_found',
	'files::atomic_write::a_folder_is_created_durably',
	'files::atomic_write::a_folder_that_cannot_be_opened_fails_a_durable_update_before_anything_is_written',
	'files::atomic_write::the_new_content_of_a_private_registry_is_private_from_the_beginning',
	'files::shared_file::a_rename_whose_outcome_cannot_be_told_is_reported_as_that_and_corrupt_bytes_stay_kept',
	'files::shared_file::corrupt_bytes_that_were_not_replaced_are_not_kept_a_second_time',
	'folder::crashes::a_claim_is_complete_or_not_there_after_a_crash_at_any_step',
	'folder::crashes::a_claim_that_comes_between_a_crash_and_its_repair_stays',
	'folder::crashes::a_watcher_whose_id_another_claims_after_a_crash_is_told',
	'folder::crashes::an_update_is_finished_or_undone_after_a_crash_at_any_step',
	'folder::file_systems::without_kernel_locks_age_decides_and_the_status_says_so',
	'litter::cleanup::only_litter_that_is_known_to_be_left_is_cleared_without_kernel_locks',
	'lock::guard::a_guard_is_synced_once_when_it_is_made',
	'lock::guard::the_temp_file_of_a_guard_that_was_never_named_goes_with_the_next_process',
	'lock::lockfile::a_lock_that_is_lost_while_the_new_content_is_written_replaces_nothing',
	'lock::lockfile::a_lockfile_of_an_older_argus_that_was_moved_aside_by_mistake_is_put_back',
	'lock::lockfile::the_new_lockfile_of_an_older_argus_is_never_removed',
	'lock::loss::a_call_that_has_written_when_its_lock_is_taken_away_succeeds_with_a_warning',
	'lock::without_kernel_locks::a_dead_holder_costs_no_waiting_without_kernel_locks',
	'lock::without_kernel_locks::a_live_holder_does_not_lose_its_lock_by_age_without_kernel_locks',
	'lock::without_kernel_locks::a_process_that_waits_for_the_claim_of_a_dead_one_burns_no_cpu',
	'lock::without_kernel_locks::a_takeover_removes_the_dead_holders_litter_and_no_other_without_kernel_locks',
	'lock::without_kernel_locks::a_takeover_that_fails_leaves_no_claim_without_kernel_locks',
	'lock::without_kernel_locks::the_claim_of_a_dead_process_keeps_others_off_until_it_is_stale_and_no_longer',
	'permissions::a_file_system_without_kernel_locks_is_reported',
	'store::mirror::the_next_mirror_finishes_the_round_of_one_that_was_killed_at_any_step',
]

/** Why a Rust test is left out; undefined if it is run. */
export const whyNotStatic = (test) => (staticTests.includes(test) ? STATIC : undefined)

const BUILT_HERE = 'it builds an addon for the C library of this machine'
const STACKS = 'strace finds no callers behind musl’s functions'
const COPIED_NODE = 'this Node needs libraries beside it, so that a copy of it does not start'

const files = {
	'__test__/addon/descriptors.test.mjs': {
		tests: [{ test: 'Node: the addon, used, closes only what it opened', reason: STACKS }],
	},
	'__test__/addon/one-file.test.mjs': {
		tests: [
			{
				test: 'a single executable of Node, with the addon beside it and with packages around it',
				reason: COPIED_NODE,
			},
		],
	},
	'__test__/addon/panics.test.mjs': { all: BUILT_HERE, tests: [] },
}

/** What is left out of a file of JavaScript tests: all of it, or some tests, each with its reason. */
export const leftOutOf = (file) => files[file] ?? { tests: [] }
