// Made by scripts/typings.mjs from src/node. Changes by hand are overwritten.

import type { RegistryErrorCode, RegistryWarning } from '../../index.js'

/** What every call that can fail returns: its value as it is, or a failure, which carries a tag. */
export type AddonResult<T> = T | AddonFailure

/** What a call that works in the background returns. background.js makes a promise of it. */
export type Background<T> = T | Promise<T> | PolledWork

/** A lock that a call asks for, and how long the call waits for it. */
export interface AcquireRequest {
	/** The registry, by its one name. */
	path: string
	/** How long the call may take, in milliseconds. */
	timeoutMs: number
	/** How much of that is over already. */
	elapsedMs: number
	/** The age at which a lockfile that can't be judged otherwise counts as abandoned. */
	staleMs: number
	/** The lock file of a document. Without it the lock is a registry's. */
	lockFile?: string
	/** The permission bits of a file that is new, less the umask. */
	newFileMode?: number
	/** Whether a missing file is an error, found before anything is made beside it. */
	mustExist?: boolean
	/** Whether the path is that of a folder. */
	folder?: boolean
}

/**
 * A wait for a lock, on a thread of its own.
 *
 * The thread puts the lock into a state that this object owns, and does not pass it to JavaScript: if
 * the JavaScript thread ends first (`worker.terminate()`), dropping this object releases the lock,
 * which no other code would do.
 */
export class Acquisition {
	/** Prepares the wait. */
	constructor(request: AcquireRequest)
	/** Waits. The promise says only that the wait is over: [`take`](Self::take) has its result. */
	start(): Background<AddonResult<undefined>>
	/** The lock, once the wait is over. If the wait is not over, ends it with the error of a timeout. */
	take(): AddonResult<LockHandle>
	/**
	 * Ends the wait, and releases the lock if the wait has got it already. The garbage collector would
	 * do that too, at a time that can't be known.
	 */
	cancel(): void
}

/** A failure of a call. `lib/errors.js` turns it into a `RegistryError`. */
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

/** What came of operations that were done together. */
export interface AppliedOperations {
	/** What came of each, as JSON; missing for one that was cancelled. */
	outcomes: Array<string | undefined | null>
	/** Whether each changed the registry. */
	changed: Array<boolean>
	/** The path at which the corrupt content that was replaced is kept. */
	kept?: string
	/** Why that content was corrupt; missing if no content was. */
	reason?: string
	/** Whether the lock was taken away after the commit and before its release. */
	lockLost: boolean
}

/** What a caller has to be told of a commit. */
export interface CommitReport {
	/** The path at which the old bytes are kept, if they are. */
	kept?: string
	/** Whether the lock was taken away after the commit and before its release. */
	lockLost: boolean
}

/** What to commit, and how. */
export interface CommitRequest {
	/** The new content. Without it the content stays as it is, and is made durable. */
	text?: string
	/** Whether the commit has to survive a power failure. */
	durable: boolean
	/** Whether the bytes that are replaced are kept beside the file. */
	keepOld: boolean
	/** Whether the commit releases the lock. */
	release: boolean
}

/** What `lib/` shares with the core: defaults and limits. */
export interface CoreConstants {
	/** The schema version of registries. */
	registryVersion: number
	/** How long a call waits for a lock, in milliseconds. */
	timeoutMs: number
	/** The age at which a lockfile that can't be judged otherwise counts as abandoned. */
	staleMs: number
	/** The age at which a watcher's entry is pruned. */
	ttlMs: number
	/** The longest pause between two heartbeats. */
	heartbeatIntervalMs: number
	/** The share of a pause by which it is shortened at most, at random. */
	heartbeatJitter: number
	/** The size in bytes of a file above which it is neither read nor written. */
	maxContentBytes: number
	/** The size in bytes up to which a file is read and written on a thread that must not block. */
	inlineSizeLimit: number
}

/** A warning of the core. */
export interface CoreWarning {
	/** The stable code. */
	code: RegistryWarning['code']
	/** What it is about. */
	path: string
	/** The whole message. */
	message: string
}

/**
 * One reading of a document under its shared lock, on another thread. Its wait for the lock ends when it
 * is cancelled, or when the JavaScript thread ends.
 */
export class DocumentLoad {
	/** Prepares it. */
	constructor(request: AcquireRequest)
	/** Reads. */
	start(): Background<AddonResult<LoadedText>>
	/** Ends the wait, if it is not over. */
	cancel(): void
}

/** The one name of a document, and the file that carries its lock. */
export interface DocumentPaths {
	/** The document: absolute, with symbolic links followed. */
	path: string
	/** Its lock file, or the guard of a registry's lock. */
	lockPath: string
}

/**
 * One operation, which either begins or is cancelled, never both: an operation whose `cancel`
 * returned true is not done.
 */
export class EntryOperation {
	private constructor()
	/** Cancels it, unless it has begun; returns whether it is cancelled. */
	cancel(): boolean
	/** Whether it has begun. */
	hasBegun(): boolean
}

/** A file's content as JavaScript reads it. */
export interface FileText {
	/** Missing if there is no file, or if its bytes are not UTF-8. */
	text?: string
	/** Whether there is a file. */
	exists: boolean
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

/** What a document's file holds. */
export interface LoadedText {
	/** `None` if its bytes are not UTF-8. */
	text?: string
	/** Whether it was read under the document's lock. */
	locked: boolean
}

/** A held lock. JavaScript releases it; else it is released when its thread ends. */
export class LockHandle {
	private constructor()
	/** The content that was read under the lock: its text; else, whether there is a file. */
	text(): string | boolean
	/**
	 * Whether a commit that is not durable is not expected to block. For a lock from
	 * [`acquire_at_once`] the answer is yes.
	 */
	commitsAtOnce(): boolean
	/**
	 * Replaces the content on another thread. The result is what the caller has to be told, if anything.
	 * A commit that is to release the lock does so also when it fails: a synchronous call may block the
	 * JavaScript thread meanwhile, so that nothing there could release it.
	 */
	commit(request: CommitRequest): Background<AddonResult<CommitReport | undefined | null>>
	/** Like [`commit`](Self::commit), on the calling thread. */
	commitSync(request: CommitRequest): AddonResult<CommitReport | undefined | null>
	/** Fails if the lock was taken away. */
	check(): AddonResult<undefined>
	/**
	 * Releases the lock; a second call does nothing. Returns whether the lock was taken away after a
	 * commit.
	 */
	release(): AddonResult<boolean>
}

/** What `inspectLock` returns. */
export interface LockReport {
	/** The registry. */
	path: string
	/** What was found. */
	state: 'free' | 'held' | 'stale'
	/** The holder, or the last one if the lock is stale. */
	holder?: HolderInfo
	/** What excludes two holders. */
	guarantee: 'kernel-lock' | 'lockfile-only' | 'unknown'
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

/** Work in the background that JavaScript asks whether it is over. */
export class PolledWork {
	private constructor()
	/** Whether the work is over. */
	isOver(): boolean
	/** The result. To be called once, when the work is over. */
	take(): unknown
}

/** A registry as JavaScript reads it. */
export interface RegistryText {
	/** Missing if there is no registry, or if a file's bytes are not UTF-8. */
	text?: string
	/** Whether there is a registry. */
	exists: boolean
	/** The entries of a folder that can't be read. */
	damaged: Array<CoreWarning>
}

/** A held kernel lock. */
export class TryLock {
	private constructor()
	/** Releases it; a second call does nothing. */
	release(): AddonResult<undefined>
}

/** A watch. JavaScript closes it; else it closes when its thread ends. */
export class WatchHandle {
	private constructor()
	/** Waits for the next content; `null` once closed. To be called again when it has settled. */
	next(): Background<AddonResult<RegistryText | undefined | null>>
	/** Closes the watch and ends a wait that is under way; a second call does nothing. */
	close(): void
}

/**
 * A path that counts from the current folder of this moment, made absolute. Unlike Node's `resolve` it
 * keeps each `..`: what that leads to depends on the symbolic links before it.
 */
export function absolutePath(path: string): AddonResult<string>

/** Takes a lock on the calling thread if that needs no wait and no other call that may block. */
export function acquireAtOnce(path: string, staleMs: number): LockHandle | null

/** Waits for a lock on the calling thread, and takes it. */
export function acquireSync(request: AcquireRequest): AddonResult<LockHandle>

/**
 * Does operations under one lock, with one commit, once. If no lock and no slow file system stands
 * in the way, the operations are done on the calling thread, and the result is no promise. The
 * wait is the first operation's: cancelling that one ends it. With `refuse_corrupt` corrupt content is
 * left as it is, and the operations fail.
 */
export function applyEntries(request: AcquireRequest, operations: Array<EntryOperation>, durable: boolean, refuseCorrupt: boolean): Background<AddonResult<AppliedOperations>>

/**
 * Does an operation on a folder, and returns its outcome as JSON. Cancelling the operation ends its wait
 * for the folder's lock; the result then says that it was not done.
 */
export function applyToFolder(request: AcquireRequest, operation: EntryOperation, durable: boolean): Background<AddonResult<string>>

/** The version of the border between `lib/` and this addon: `lib/` uses no addon with another one. */
export function borderVersion(): number

/** What `lib/` shares with the core. Its modules ask once each, when they are loaded. */
export function coreConstants(): CoreConstants

/** The failure of an update of a file that holds no registry, and is to stay as it is. */
export function corruptFailure(path: string, reason: string): AddonFailure

/** The warning of a read that found no registry in the file. */
export function corruptWarning(path: string, reason: string): string

/**
 * Where argus keeps its registry, with these variables. JavaScript's environment need not be the
 * process's: what is assigned to `process.env` stays within a worker thread, and within Bun.
 */
export function defaultPath(variables: object): AddonResult<string>

/** The failure of a heartbeat whose entry was removed, or is another watcher's by now. */
export function entryLost(path: string, id: string): AddonFailure

/** An operation on a registry, from JSON. */
export function entryOperation(path: string, text: string): AddonResult<EntryOperation>

/** The holder of a registry's lock; `null` if the lock is free or its holder can't be found out. */
export function holderNow(path: string): HolderInfo | null

/** The failure of a claim without a suffix, if a living watcher has the id. */
export function idTaken(path: string, id: string, pid?: number | undefined | null): AddonFailure

/** Looks at a registry's lock. */
export function inspect(path: string, staleMs: number): Background<AddonResult<LockReport>>

/** Reads a document under its shared lock, on the calling thread. */
export function loadDocumentSync(request: AcquireRequest): AddonResult<LoadedText>

/** The warning of a write whose lock was taken away before it was released. */
export function lockLostWarning(path: string): string

/** Keeps the registry file of the request in step with the registry at `source`. */
export function mirrorRegistry(source: string, request: AcquireRequest, durable: boolean, keepCorrupt: boolean): AddonResult<MirrorHandle>

/** The failure of a call on a document that does not exist and has no empty value. */
export function missingDocument(path: string): AddonFailure

/** The warning of a read that found no file. */
export function missingWarning(path: string): string

/** The failure of a call whose new content is larger than a file may be. */
export function newContentTooLarge(path: string, size: number): AddonFailure

/** The failure of a call that would hold a folder's lock. */
export function noLockInFolder(path: string): AddonFailure

/** The failure of a call on a document that can't be decoded. */
export function parseFailure(path: string, reason: string): AddonFailure

/** Reads a file without a lock, off the calling thread. */
export function read(path: string): Background<AddonResult<FileText>>

/** Reads a registry without a lock, off the calling thread. */
export function readRegistry(path: string): Background<AddonResult<RegistryText>>

/** Reads a registry without a lock, on the calling thread. */
export function readRegistrySync(path: string): AddonResult<RegistryText>

/** Reads a file without a lock, on the calling thread. */
export function readSync(path: string): AddonResult<FileText>

/**
 * Renews the entry of a claim that this process holds in a folder. Returns false if it holds none for a
 * folder of this spelling, or if the entry was lost: the operation then has to be applied.
 */
export function renewClaim(folder: string, id: string, pid: number, startedAt: number): boolean

/** Like [`renew_claim`], for an operation that is a heartbeat and changes no field. */
export function renewHeld(folder: string, operation: EntryOperation): boolean

/** The one name of a registry: absolute, with symbolic links followed. That of a folder ends in a separator. */
export function resolve(path: string): AddonResult<string>

/**
 * Resolves a document's path. `lock_file` is the caller's choice, if it made one; with
 * `registry_lock` the document is used under the lock of a registry instead.
 */
export function resolveDocument(path: string, lockFile: string | undefined | null, registryLock: boolean): AddonResult<DocumentPaths>

/**
 * From here on, calls of this thread that work in the background return a [`PolledWork`] in place
 * of a promise. `lib/addon/background.js` says which threads need that.
 */
export function returnPolledWork(): void

/** The message and the place of the last panic of this thread; `null` if there was none since the last call. */
export function takePanic(): string | null

/** Takes a kernel lock in one try. */
export function tryLock(path: string, shared: boolean): AddonResult<TryLock>

/** The failure of a call on a file of another schema version than the expected one. */
export function unsupportedVersion(path: string, found: string, expected: number): AddonFailure

/** The warning of a read that found a registry which a newer program has written. */
export function unsupportedVersionWarning(path: string, found: string): string

/** The failure of an update that its caller aborted. */
export function updateAborted(path: string): AddonFailure

/** The version of the package that this addon belongs to, for error messages. */
export function version(): string

/** Watches a file. */
export function watch(path: string): AddonResult<WatchHandle>

/** Watches the registry at a path, a file or a folder. */
export function watchRegistry(path: string): AddonResult<WatchHandle>
