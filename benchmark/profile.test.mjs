// How the profiles count samples. What a run finds on this machine is no part of it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { profileOf } from './profile/profile-of.mjs'
import { componentOf, samplesOf } from './profile/samples.mjs'
import { profileTable } from './profile/table.mjs'

const collect = async (lines) => {
	const samples = []
	for await (const sample of samplesOf(lines)) samples.push(sample)
	return samples
}

test('samples are read from what perf prints', async () => {
	const lines = [
		'30162 1795821508.160821047: ',
		'\tffffffff821ef691 do_syscall_64 ([kernel.kallsyms])',
		'\t           f8a1a __close (/usr/lib/libc.so.6)',
		'',
		' 305 1795821508.5: ',
		'\t          c4993d v8::internal::(anonymous namespace)::Invoke (/usr/bin/node)',
		'\t           5efb5 [unknown] (/work/my registry.node (deleted))',
		'',
		// A sample without a stack.
		'305 1795821508.6: ',
		'',
		'305 1795821509.000000000: ',
		'\t               1 [unknown] ([unknown])',
	]
	const samples = await collect(lines)
	assert.deepEqual(
		samples.map(({ pid, ms }) => [pid, Math.round(ms)]),
		[
			[30162, 1795821508161],
			[305, 1795821508500],
			[305, 1795821509000],
		],
	)
	assert.deepEqual(samples[0].frames, [
		{ isKernel: true, symbol: 'do_syscall_64', library: '[kernel.kallsyms]' },
		{ isKernel: false, symbol: '__close', library: '/usr/lib/libc.so.6' },
	])
	assert.deepEqual(samples[1].frames, [
		{
			isKernel: false,
			symbol: 'v8::internal::(anonymous namespace)::Invoke',
			library: '/usr/bin/node',
		},
		{ isKernel: false, symbol: '[unknown]', library: '/work/my registry.node' },
	])
})

const inKernel = (...symbols) => {
	const frames = symbols.map((symbol) => ({ isKernel: true, symbol, library: '[kernel]' }))
	return componentOf([...frames, { isKernel: false, symbol: 'statx', library: '/lib/libc.so.6' }])
}

const entry = ['do_syscall_64', 'entry_SYSCALL_64_after_hwframe']

test('time in the kernel counts for the system call', () => {
	assert.equal(inKernel('lookup_fast', 'vfs_statx', '__x64_sys_statx', ...entry), '`statx`')
	assert.equal(
		inKernel('ext4_rename', '__arm64_sys_renameat', 'invoke_syscall.constprop.0'),
		'`renameat`',
	)
	// A call that waits.
	assert.equal(inKernel('finish_task_switch', 'schedule', '__x64_sys_futex', ...entry), '`futex`')
	// Without the frame of the call itself.
	assert.equal(inKernel('vfs_write', 'ksys_write', ...entry), '`write`')
	assert.equal(inKernel('flock_lock_inode', '__do_sys_flock', 'x64_sys_call', ...entry), '`flock`')
	assert.equal(inKernel('eventfd_write', 'vfs_write', 'ksys_write', ...entry), '`write`, eventfd')
	// What takes most of a call's time is told apart.
	const rename = ['do_renameat2', '__x64_sys_rename', ...entry]
	assert.equal(inKernel('ext4_evict_inode', 'evict', 'dput', ...rename), '`rename`, freeing a file')
	assert.equal(inKernel('submit_bio', 'do_writepages', ...rename), '`rename`, writing content')
	assert.equal(
		inKernel('find_inode_bit', '__ext4_new_inode', 'path_openat', '__x64_sys_openat', ...entry),
		'`openat`, new inode',
	)
	assert.equal(inKernel(...entry), 'entry and exit of calls')
	assert.equal(inKernel('x64_sys_call', ...entry), 'entry and exit of calls')
	assert.equal(inKernel('syscall_exit_to_user_mode', ...entry), 'entry and exit of calls')
})

test('an interrupt, a page fault or a preemption within a system call is its own', () => {
	const write = ['ksys_write', ...entry]
	const interrupt = [
		'handle_softirqs',
		'__irq_exit_rcu',
		'common_interrupt',
		'asm_common_interrupt',
	]
	assert.equal(inKernel(...interrupt, ...write), 'interrupts')
	assert.equal(
		inKernel('do_anonymous_page', 'handle_mm_fault', 'exc_page_fault', ...write),
		'page faults',
	)
	assert.equal(inKernel('__schedule', 'schedule', 'exit_to_user_mode_loop', ...entry), 'scheduling')
	const tick = ['schedule', 'irqentry_exit_to_user_mode', 'asm_sysvec_apic_timer_interrupt']
	assert.equal(inKernel(...tick), 'scheduling')
	assert.equal(inKernel('finish_task_switch', 'schedule_tail', 'ret_from_fork'), 'scheduling')
	assert.equal(inKernel('rest_init'), 'kernel, else')
})

const node = (symbol) => ({ symbol, library: '/usr/bin/node' })
const compiled = { symbol: '[unknown]', library: '/tmp/perf-30205.map' }

test('other time counts for the part of the program', () => {
	const at = (library, symbol = '[unknown]') => componentOf([{ symbol, library }, compiled])
	assert.equal(at('/work/argus-registry.linux-x64-gnu.node'), 'Rust')
	assert.equal(at('/work/target/release/examples/contestant'), 'Rust')
	assert.equal(at('/usr/lib/x86_64-linux-gnu/libc.so.6', 'malloc'), 'C library')
	assert.equal(at('/lib/ld-musl-x86_64.so.1', 'memcpy'), 'C library')
	assert.equal(at('[vdso]', '__vdso_clock_gettime'), 'C library')
	assert.equal(at('//anon'), 'JavaScript')
	assert.equal(at('/tmp/perf-30205.map'), 'JavaScript')
	assert.equal(at('/usr/bin/node', 'Builtins_LoadIC'), 'JavaScript')
	assert.equal(at('/usr/bin/node', 'napi_wrap'), 'Node and V8, else')
	assert.equal(at('/usr/lib/libstdc++.so.6.0.30', 'operator new'), 'Node and V8, else')
	assert.equal(at('[unknown]'), 'unknown')
})

test('a function of V8 counts for what has called it, up to the JavaScript', () => {
	const print = node('v8::internal::JsonStringifier::SerializeString')
	assert.equal(componentOf([node('v8::internal::String::Flatten'), print]), 'V8: JSON')
	assert.equal(
		componentOf([node('v8::internal::JsonParser<unsigned char>::ParseJson')]),
		'V8: JSON',
	)
	const collection = node('v8::internal::ScavengerCollector::CollectGarbage')
	assert.equal(componentOf([collection, print, compiled]), 'V8: garbage collection')
	const compiler = node('v8::internal::compiler::GraphReducer::ReduceTop')
	assert.equal(componentOf([compiler]), 'V8: compilers')
	// Such as a getter that JSON.stringify calls.
	assert.equal(componentOf([node('v8::internal::IC::Load'), compiled, print]), 'Node and V8, else')
})

test('a profile leaves out the start-up and the process that only waits', async () => {
	const frames = [{ isKernel: false, symbol: 'malloc', library: '/lib/libc.so.6' }]
	const times = [900, 1_099, 1_100, 2_000, 2_899, 2_900, 3_500]
	const samples = times.map((ms) => ({ pid: 7, ms, frames }))
	samples.push({ pid: 1, ms: 2_000, frames })
	const cell = { contestant: 'floor', processes: 1, opsPerSecond: 1_000, p50: 0.5 }
	const result = { pid: 1, startedAt: 1_000, cell }
	const found = await profileOf(result, samples, { seconds: 2, frequency: 100 })
	// Three samples of 10 ms, in 1.8 s with a thousand updates per second.
	assert.equal(found.cpuUs.toFixed(3), (30_000 / 1_800).toFixed(3))
	assert.deepEqual([...found.components], [['C library', found.cpuUs]])
	assert.deepEqual([found.wallUs, found.p50Us, found.contestant], [1_000, 500, 'floor'])
})

const profile = (contestant, processes, components) => ({
	...{ contestant, processes, wallUs: 120, p50Us: 110, cpuUs: 100 },
	components: new Map(Object.entries(components)),
})

test('contestants stand side by side, with the largest parts first', () => {
	const floor = profile('floor', 1, { '`rename`': 60, '`close`': 38, interrupts: 2 })
	const sync = profile('argus-sync', 1, { Rust: 90.5, '`close`': 5, interrupts: 2.5, unknown: 2 })
	assert.equal(
		profileTable([floor, sync]),
		`| us per update    | floor     | argus-sync |
|------------------|-----------|------------|
| time             | 120       | 120        |
| median of a call | 110       | 110        |
| processor time   | 100       | 100        |
| waiting          | 20        | 20         |
| Rust             | -         | 91 (91 %)  |
| \`rename\`         | 60 (60 %) | -          |
| \`close\`          | 38 (38 %) | 5.0 (5 %)  |
| else             | 2.0 (2 %) | 4.5 (5 %)  |`,
	)
	const ten = profileTable([profile('argus-sync', 10, { Rust: 100 })])
	assert.match(ten, /^\| processors at work +\| 0\.83 +\|$/m)
	assert.doesNotMatch(ten, /waiting/)
})

test('the command refuses what it can not do', () => {
	const command = fileURLToPath(new URL('./profile.mjs', import.meta.url))
	const run = (...args) => spawnSync(process.execPath, [command, ...args], { encoding: 'utf8' })
	assert.match(run('--help').stdout, /--write-page/)
	for (const [args, message] of [
		[['--only', 'argus'], /--only does not know 'argus'/],
		[['--rounds', '2'], /Unknown option '--rounds'/],
		[['--write-page', '--place', 'disk'], /--write-page takes a run of all/],
	]) {
		const { status, stderr } = run(...args)
		assert.equal(status, 1)
		assert.match(stderr, message)
		assert.match(stderr, /See --help/)
	}
})
