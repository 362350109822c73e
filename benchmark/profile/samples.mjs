// Reads what `perf script` prints, and tells for each sample what the processor was busy with.

const HEAD = /^ *(\d+) +(\d+\.\d+): *$/
const FRAME = /^\s+([0-9a-f]+) (.*) \((.*)\)$/

/** The options of `perf script` that make it print what `samplesOf` reads. */
export const SCRIPT_OPTIONS = ['--no-inline', '--ns', '-F', 'pid,time,ip,sym,dso']

/**
 * The samples in lines of `perf script`: { pid, ms, frames }, with the clock's time in milliseconds, and
 * with the innermost frame first: { isKernel, symbol, library }.
 */
export async function* samplesOf(lines) {
	let sample
	for await (const line of lines) {
		const [, pid, seconds] = HEAD.exec(line) ?? []
		if (pid) {
			sample = { pid: Number(pid), ms: Number(seconds) * 1_000, frames: [] }
		} else if (sample && line === '') {
			if (sample.frames.length > 0) yield sample
			sample = undefined
		} else if (sample) {
			const [, address, symbol, library] = FRAME.exec(line.replace(' (deleted))', ')')) ?? []
			if (address) sample.frames.push({ isKernel: /^ffff.{12}$/.test(address), symbol, library })
		}
	}
	if (sample?.frames.length > 0) yield sample
}

/** Functions of the kernel, on x86-64 and arm64. */
const PAGE_FAULT = /^(?:asm_)?exc_page_fault$|^handle_mm_fault$|^do_(?:page_fault|mem_abort)$/
const INTERRUPT =
	/^(?:asm_)?(?:sysvec_|common_interrupt)|^(?:handle_softirqs|__do_softirq|_*irq_exit_rcu)$|^el\d\w*_irq$/
const PREEMPTION =
	/^(?:exit_to_user_mode_loop|irqentry_exit\w*|do_notify_resume|preempt_schedule\w*)$/
const SCHEDULE = /^_*schedule$|^finish_task_switch|^schedule_tail$/
const CALL = /^__(?:x64|arm64|se|do)_sys_(\w+)/
/** What calls the function of a system call, and what runs there before and after that function. */
const DISPATCHER = /^(?:do_syscall_64|invoke_syscall|el0_svc)/
const AROUND_CALL = /^entry_|exit_to_user_mode|syscall_(?:enter|exit|trace)|_thunk$/

/** What a call may do besides what it is called for. One of them may take most of its time. */
const WORK_OF_CALL = [
	[/^eventfd_/, 'eventfd'],
	[/^evict$/, 'freeing a file'],
	[/^do_writepages$/, 'writing content'],
	[/^\w+_new_inode$/, 'new inode'],
]

/** `inner`: the functions that the call has called. */
const callText = (name, inner) => {
	const [, work] =
		WORK_OF_CALL.find(([functions]) => inner.some((each) => functions.test(each))) ?? []
	return `\`${name}\`${work ? `, ${work}` : ''}`
}

/** A wait within a call belongs to that call. An interrupt or a page fault within a call does not. */
const kernelComponent = (symbols) => {
	for (const [index, symbol] of symbols.entries()) {
		const inner = symbols.slice(0, index)
		if (PREEMPTION.test(symbol) && inner.some((each) => SCHEDULE.test(each))) return 'scheduling'
		if (PAGE_FAULT.test(symbol)) return 'page faults'
		if (INTERRUPT.test(symbol)) return 'interrupts'
		const [, name] = CALL.exec(symbol) ?? []
		if (name) return callText(name, inner)
		if (DISPATCHER.test(symbol)) {
			// The call's own function may be missing on the stack: one that only calls another, such as `ksys_write`.
			const called = inner.findLast((each) => each !== 'x64_sys_call')
			if (called === undefined || AROUND_CALL.test(called)) return 'entry and exit of calls'
			return callText(called.replace(/^(?:ksys|do)_/, ''), inner)
		}
	}
	return symbols.some((symbol) => SCHEDULE.test(symbol)) ? 'scheduling' : 'kernel, else'
}

/** By the files that a process has mapped. What V8 has compiled is in memory without a file. */
const RUST = /\.node$|\/examples\//
const C_LIBRARY = /\/(?:libc|libm|libpthread|ld)[-.][^/]*$|\/ld-[^/]*$|^\[vdso\]$/
const NODE = /\/node$|\/lib(?:node|uv|stdc\+\+|v8)[-.][^/]*$/
const COMPILED = /\/perf-\d+\.map$|^\/\/anon$|^\[anon|^\[JIT\]/

const PARTS_OF_V8 = [
	[
		'V8: garbage collection',
		/Scaveng|MarkCompact|Marking|Sweep|Evacuat|CollectGarbage|GarbageColl/,
	],
	['V8: JSON', /Json(?:Pars|Stringif)/],
	['V8: compilers', /internal::(?:compiler|interpreter|baseline|maglev|Compiler|\w*Compilation)\b/],
]

const isJavaScript = ({ symbol, library }) =>
	COMPILED.test(library) || symbol.startsWith('Builtins_')

/** The innermost frame decides; in Node, also the functions that called it, up to the JavaScript. */
const userComponent = (frames) => {
	const [innermost] = frames
	if (RUST.test(innermost.library)) return 'Rust'
	if (C_LIBRARY.test(innermost.library)) return 'C library'
	if (isJavaScript(innermost)) return 'JavaScript'
	if (!NODE.test(innermost.library)) return 'unknown'
	for (const frame of frames) {
		if (isJavaScript(frame)) break
		const [part] = PARTS_OF_V8.find(([, functions]) => functions.test(frame.symbol)) ?? []
		if (part) return part
	}
	return 'Node and V8, else'
}

/** What a sample was spent on. */
export const componentOf = (frames) => {
	const kernel = frames.filter(({ isKernel }) => isKernel)
	return kernel.length > 0
		? kernelComponent(kernel.map(({ symbol }) => symbol))
		: userComponent(frames)
}
