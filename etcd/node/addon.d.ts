// Made by scripts/typings.mjs from etcd/node. Changes by hand are overwritten.

import type { RegistryErrorCode, RegistryWarning } from '../../index.js'

/** What every call that can fail returns: its value as it is, or a failure, which carries a tag. */
export type AddonResult<T> = T | AddonFailure

/** What a call that works in the background returns. */
export type Background<T> = Promise<T>

/** What a call asks for, and how long it may take. */
export interface AcquireRequest {
	/** The registry, by its one name. */
	path: string
	/** How long the call may take, in milliseconds. */
	timeoutMs: number
	/** How much of that is over already. */
	elapsedMs: number
	/** Whether the registry's lock is asked for. An update needs none. */
	exclusive?: boolean
	/** How often this call has made an update that was refused. */
	refusals?: number
}

/** The reading of an update, or a wait for the registry's lock. */
export class Acquisition {
	/** Prepares it. */
	constructor(request: AcquireRequest)
	/** Waits. The promise says only that the wait is over: [`take`](Self::take) has its result. */
	start(): Background<AddonResult<undefined>>
	/** What was acquired, once the wait is over. */
	take(): AddonResult<LockHandle>
	/** Ends the wait, and releases what it has got already. */
	cancel(): void
}

/** A failure of a call. The core's `lib/errors.js` turns it into a `RegistryError`. */
export interface AddonFailure {
	/** The tag: no value of a call has a member of this name. */
	failed: true
	/** The stable code. */
	code: RegistryErrorCode
	/** The whole message. */
	message: string
	/** The path that the failure is about. */
	path: string
	/** The holder of the lock, for a lock that is busy. */
	holder?: HolderInfo
	/** The operating system's own message. */
	cause?: string
	/** The operating system's error number. */
	errno?: number
	/** Node's name for this kind of error, for systems whose numbers have no such names. */
	causeCode?: string
}

/** What to commit, and how. The servers make every change durable, and no bytes are kept. */
export interface CommitRequest {
	/** The new content. Without it there is nothing to do. */
	text?: string
	/** Whether the commit ends the update. */
	release: boolean
}

/** A warning of the store. */
export interface CoreWarning {
	/** The stable code. */
	code: RegistryWarning['code']
	/** What it is about. */
	path: string
	/** The whole message. */
	message: string
}

/** One operation. Cancelling it ends its waits, unless its change is on its way to a server. */
export class EntryOperation {
	private constructor()
	/** Cancels it. Its result tells whether it was done before. */
	cancel(): void
}

/** The holder of a lock. */
export interface HolderInfo {
	/** The holder's process id. */
	pid?: number
	/** The holder's host name. */
	host?: string
	/** When it took the lock, in milliseconds since 1970. */
	since?: number
	/** Whether its process lives; missing if that can't be found out. */
	alive?: boolean
}

/**
 * An update that has read the registry, or the registry's lock. JavaScript releases it; else it is released when its
 * thread ends.
 */
export class LockHandle {
	private constructor()
	/** The registry's text as it was read, or as the last commit left it; `false` if there is no registry. */
	text(): string | boolean
	/** Whether [`commit_sync`](Self::commit_sync) waits for nothing. */
	commitsAtOnce(): boolean
	/**
	 * Makes the registry that of a text. For an update, fails with `LOCK_TIMEOUT`, or with `LOCK_BUSY` for one try,
	 * if another process has changed what was read: nothing was written, and the update may begin anew.
	 */
	commit(request: CommitRequest): Background<AddonResult<undefined>>
	/** Like [`commit`](Self::commit), on the calling thread. */
	commitSync(request: CommitRequest): AddonResult<undefined>
	/** Releases the lock, and fails if it was lost before. */
	check(): Background<AddonResult<undefined>>
	/**
	 * Releases it, without waiting for a server; a second call does nothing. Returns whether a lock was lost after a
	 * commit, which is not found out here.
	 */
	release(): boolean
}

/** What `inspectLock` returns. */
export interface LockReport {
	/** The registry. */
	path: string
	/** What was found. */
	state: 'free' | 'held'
	/** The holder. */
	holder?: HolderInfo
	/** What excludes two holders. */
	guarantee: 'lease'
}

/** What a mirror tells. */
export interface MirrorEvent {
	/** It works: the first event of this kind is the only one. */
	working?: boolean
	/** A failure, after which the mirror goes on. */
	failure?: AddonFailure
	/** A warning of an update. */
	warning?: CoreWarning
}

/** A mirror. JavaScript stops it; else it stops when its thread ends. */
export class MirrorHandle {
	private constructor()
	/** Waits for the next event; `null` once the mirror has ended. To be called again when it has settled. */
	next(): Background<AddonResult<MirrorEvent | undefined | null>>
	/** Stops the mirror, and waits for a round in progress. */
	stop(): Background<AddonResult<boolean | undefined | null>>
}

/** The file of a mirror, and the options of the lock under which it is updated. */
export interface MirrorRequest {
	/** The registry file. */
	path: string
	/** How long an update may take, in milliseconds. */
	timeoutMs: number
	/** The age at which a lockfile that can't be judged otherwise counts as abandoned. */
	staleMs: number
}

/** A registry as JavaScript reads it. */
export interface RegistryText {
	/** Missing if there is no registry. */
	text?: string
	/** Whether there is a registry. */
	exists: boolean
	/** What can't be read of it. */
	damaged: Array<CoreWarning>
}

/** A watch. JavaScript closes it; else it closes when its thread ends. */
export class WatchHandle {
	private constructor()
	/** Waits for the next state; `null` once closed. To be called again when it has settled. */
	next(): Background<AddonResult<RegistryText | undefined | null>>
	/** Closes the watch and ends a wait that is under way; a second call does nothing. */
	close(): void
}

/** Like an [`Acquisition`], on the calling thread. */
export function acquireSync(request: AcquireRequest): AddonResult<LockHandle>

/** Does an operation, and returns its outcome as JSON. */
export function applyEntry(request: AcquireRequest, operation: EntryOperation): Background<AddonResult<string>>

/** The version of the border between the core's `lib/` and this addon. */
export function borderVersion(): number

/**
 * Opens a registry with options, of which the package's `index.d.ts` tells, as JSON. To be called before its first
 * other call: what is known of its claims would be forgotten otherwise.
 */
export function configure(path: string, options: string): AddonResult<undefined>

/** An operation on a registry, from JSON. */
export function entryOperation(path: string, text: string): AddonResult<EntryOperation>

/** Looks at a registry's lock. No age makes it stale: the servers remove it when its lease ends. */
export function inspect(path: string, staleMs: number): Background<AddonResult<LockReport>>

/** Keeps the registry file of the request in step with the registry at `source`. */
export function mirrorRegistry(source: string, request: MirrorRequest, durable: boolean, keepCorrupt: boolean): AddonResult<MirrorHandle>

/** Reads a registry, off the calling thread. */
export function readRegistry(path: string): Background<AddonResult<RegistryText>>

/** Reads a registry, on the calling thread. */
export function readRegistrySync(path: string): AddonResult<RegistryText>

/** The one name of a registry: the servers and the prefix, without what has no meaning. */
export function resolve(path: string): AddonResult<string>

/** The version of the package that this addon belongs to, for error messages. */
export function version(): string

/** Watches the registry at a path. */
export function watchRegistry(path: string): AddonResult<WatchHandle>
