/// <reference lib="esnext.disposable" />

/**
 * Many processes update one small state file without losing anything.
 *
 * Every failure is a {@link RegistryError} with a stable `code`. Only what the caller's own
 * updater, or a document's `empty`, throws is passed on as it is. The pure helpers, from
 * {@link createEmptyRegistry} on, check nothing.
 *
 * The functions are for registries of argus, a program whose watcher processes keep one registry of
 * themselves. A {@link Document} is any other value in a shared file.
 *
 * A path is a string, or a `file:` URL object as the functions of `node:fs` take it; a URL as a string is
 * refused, as are buffers. An option that a call does not have is refused. Both are `INVALID_VALUE`. A
 * relative path counts from the working folder; if that was deleted, the call fails with `NOT_FOUND`.
 *
 * A registry is a file or a folder, and its path decides: one that ends in a separator, or that names a folder,
 * is a folder's, in which each entry has a file of its own (`watchers/<id>.json`). A heartbeat then changes one
 * file's date and waits for no other process, and the kernel tells at once and for sure whether the process of
 * a claim lives. One that begins with `etcd://` (`etcd://host:port[,host:port]/prefix`) is in etcd, by the package
 * `argus-registry-etcd`; without it, each call on it fails with `UNSUPPORTED`. The descriptions below say where a folder
 * differs; docs/concepts/stores.md has the whole table.
 *
 * A call that is under way keeps the process alive, as any file operation does: while it waits for
 * a lock, at most for its `timeoutMs` (with `Infinity`, for ever), and as long as the disk takes.
 * To end earlier, abort its `signal` or call `process.exit()`. A call of a watch's `next` keeps the
 * process alive until it settles; a heartbeat does so with `keepAlive`, and a mirror until it is
 * stopped. Nothing else keeps a process alive: not the loaded package, not a held lock whose updater never settles, not a watch
 * without a call of `next`.
 *
 * Each function of a caller runs in the async context (`AsyncLocalStorage`, `domain`) of the call that
 * brought it: of the update, of {@link watchRegistry}, of {@link startRegistryHeartbeat}. A document's
 * functions run in the context of the call on the document that needs them, or of its `watch`.
 *
 * Waits, timeouts and heartbeats go by the real clock and real timers, also where a program's tests mock
 * these (`mock.timers` of node:test, sinon, jest). What is data follows a mocked `Date`: the `updatedAt`
 * of {@link createEmptyRegistry}, {@link setWatcherEntry} and {@link removeWatcherEntry}, and with them
 * that of a registry that an update finds missing. Entry operations date entries by the system's clock,
 * unless they are given `now`.
 */

/** The schema version that is read and written. */
export const REGISTRY_VERSION: 1

/** The entry of one watcher, a process of argus. Unknown fields are kept. */
export interface WatcherRecord {
	/** The entry's name in the registry. */
	id: string
	/** The host or interface that it listens on. */
	host: string
	/** The port that it listens on. */
	port: number
	/** The watcher's process id. */
	pid: number
	/** The watcher's working directory. */
	cwd?: string
	/** When the watcher started, in milliseconds since 1970. */
	startedAt: number
	/** The watcher's last heartbeat, in milliseconds since 1970. */
	updatedAt: number
	/** The pages that the watcher attaches to. */
	match?: { url?: string; title?: string; urlRegex?: string; titleRegex?: string }
	/** The address of the watcher's browser. */
	chrome?: { host: string; port: number }
	/** Whether the watcher's logs carry timestamps. */
	includeTimestamps?: boolean
	/** Where the watcher's events come from. */
	source?: string
	/**
	 * Where `pid` names a process. The entry operations write it if `pid` is the calling process's own,
	 * and keep it otherwise. Leave it out where you write another `pid` into an entry.
	 */
	pidScope?: PidScope
}

/**
 * Where a pid names a process: in one pid namespace of one boot. Compare it or pass it on; what is in
 * it depends on the platform.
 */
export interface PidScope {
	/** The pid that this is about. For an entry with another `pid` it means nothing. */
	pid: number
	/** The id of the boot (Linux). */
	boot?: string
	/** The inode of the pid namespace (Linux). */
	namespace?: number
	/** A hash of the machine's id (Linux, outside of containers) or of its host name. */
	machine?: string
}

/** A registry: the entries of watchers. Unknown fields are kept. */
export interface RegistryV1 {
	/** The schema version. */
	version: 1
	/** When it was last changed, in milliseconds since 1970. */
	updatedAt: number
	/** The entries by id. */
	watchers: Record<string, WatcherRecord>
}

/** What a {@link RegistryError} is about. Stable: decide by it, not by the message. */
export type RegistryErrorCode =
	/** One try (`timeoutMs: 0`, or a try-lock), and another holder has the lock. Try again later. */
	| 'LOCK_BUSY'
	/**
	 * The file is used under another kind of lock: a document's lock file, or the guard and lockfile
	 * of a registry. The message names the file that is in use.
	 */
	| 'LOCK_MISMATCH'
	/** A document's content can't be decoded; nothing was written. */
	| 'PARSE'
	/** The lock did not come free within `timeoutMs`. `holder` describes its holder. */
	| 'LOCK_TIMEOUT'
	/**
	 * An older version of argus took the lockfile away meanwhile; the update was not written. From
	 * {@link withRegistryLock} and {@link Document.withLock} it can come after a `write`: the message says so.
	 */
	| 'LOCK_LOST'
	/** The id that was claimed has an entry that may not be replaced, and `suffix` is false. */
	| 'ID_TAKEN'
	/** A heartbeat's entry was removed, or is another watcher's by now; it was not renewed. */
	| 'ENTRY_LOST'
	/** The operating system refused access to `path`. */
	| 'PERMISSION_DENIED'
	/** A file or folder that must exist does not. */
	| 'NOT_FOUND'
	/**
	 * An update with `onCorrupt: 'fail'` of a file that holds no registry; nothing was written. Also the code of
	 * a warning.
	 */
	| 'CORRUPT'
	/** The file was written by a newer schema; it was left untouched. */
	| 'UNSUPPORTED_VERSION'
	/** An argument, or what an updater returned, can't be used; nothing was written. */
	| 'INVALID_VALUE'
	/** What a registry of this kind can't do: the message says what to use instead. Nothing was written. */
	| 'UNSUPPORTED'
	/** No server of the registry's store has answered in time. Nothing was written. */
	| 'UNAVAILABLE'
	/**
	 * The connection to the registry's store broke, and whether the change was made could not be found out in time.
	 * Read the registry before making it again.
	 */
	| 'OUTCOME_UNKNOWN'
	/** The registry's store refused a change that is too large for it, or is full. Nothing was written. */
	| 'STORE_LIMIT'
	/** A try-lock on a file system without kernel locks. */
	| 'UNSUPPORTED_FILE_SYSTEM'
	/** An update that would wait for another of its own thread, and so for ever. */
	| 'RE_ENTRANT'
	/** `signal` was aborted; `cause` is its reason. */
	| 'ABORTED'
	/**
	 * The file is larger than the library reads, or would be larger than it writes: 64 MiB. Nothing was written.
	 */
	| 'TOO_LARGE'
	/** A defect of this package: the message says where. Please report it. */
	| 'INTERNAL'
	/** Any other failure of the operating system, such as a full disk; `cause` has its code. */
	| 'IO'

/** The holder of a lock, as far as it can be found out. */
export interface LockHolder {
	/** The holder's process id; missing for a lockfile of an older argus, which names none. */
	pid?: number
	/** The host name that the holder saw. */
	host?: string
	/** When the holder took the lock, in milliseconds since 1970. */
	since?: number
	/**
	 * Whether its process lives; `null` if that can't be found out from here (another host or
	 * container).
	 */
	alive: boolean | null
}

/** What every call of this package throws or rejects with. */
export class RegistryError extends Error {
	constructor(
		code: RegistryErrorCode,
		message: string,
		details?: { path?: string; holder?: LockHolder; cause?: unknown },
	)
	readonly name: 'RegistryError'
	/** What went wrong. */
	readonly code: RegistryErrorCode
	/** The file that the error is about. */
	readonly path: string
	/** The holder of the lock, where it is known. */
	readonly holder?: LockHolder
	/** The operating system's error (with its `code`, such as `ENOSPC`), or the abort's reason. */
	readonly cause?: unknown
}

/** Something that is no error, but that the caller may have to know. */
export interface RegistryWarning {
	/**
	 * `NOT_FOUND`: no file or folder yet. `CORRUPT`: no registry, or no readable document. `DAMAGED_ENTRY`: an
	 * entry of a folder that can't be read; its file is kept, and the registry is read without it.
	 * `UNSUPPORTED_VERSION`: a newer one. `LOCK_LOST`: the change was written, but the lock was taken away
	 * before its release, so that another program may have replaced the change.
	 */
	code: 'NOT_FOUND' | 'CORRUPT' | 'DAMAGED_ENTRY' | 'UNSUPPORTED_VERSION' | 'LOCK_LOST'
	/** The file. */
	path: string
	/** The whole sentence. */
	message: string
	/** The path at which the bytes of a corrupt file are kept since an update replaced it. */
	kept?: string
}

/** What {@link readRegistry} returns. */
export interface RegistryReadResult {
	/** The registry; an empty one if there is a warning other than `DAMAGED_ENTRY`. */
	registry: RegistryV1
	/** Why the registry is empty, if the file does not hold an empty one; and which entries of a folder are damaged. */
	warnings: RegistryWarning[]
}

/**
 * What an update does about content that can't be decoded. `'keep'`, the default for registries: the update
 * starts from an empty registry, or the document's `empty()`; the bytes are kept beside the file, as
 * `<name>.corrupt-*`, with a warning. `'fail'`, the default for documents: the update is refused, and nothing
 * is moved or written. The code is `CORRUPT` for a registry, and `PARSE` for a document.
 */
export type OnCorrupt = 'keep' | 'fail'

/** How to wait for a lock and how to write. */
export interface UpdateOptions {
	/**
	 * How long to wait for the lock, in milliseconds, whether another process holds it or an earlier
	 * update of this one. 0 is one try; `Infinity` has no bound. Also bounds how long an update that
	 * lost its lock to an older version of argus is run again. Default 2,000.
	 */
	timeoutMs?: number
	/**
	 * The age, in milliseconds, at which a lockfile that can't be judged otherwise counts as
	 * abandoned: one of an older argus, or of another host. The lock of a live process that uses this
	 * package is never taken over. Default 10,000. With 0 even a fresh lockfile is taken over.
	 */
	staleMs?: number
	/** Aborts the wait, or the update up to the moment it is written. */
	signal?: AbortSignal
	/**
	 * Whether to resolve only when the update would survive a power failure (fsync of file and
	 * folder); an update that is not durable can take earlier durable ones with it in a power failure,
	 * which leaves an empty file on some file systems (XFS, btrfs, ext4 with `noauto_da_alloc`). It
	 * survives the crash of any process. Default true.
	 */
	durable?: boolean
	/**
	 * What to do about a file that holds no registry. Default `'keep'`: only programs write registries, and the
	 * next heartbeats and announcements of the watchers fill a new one.
	 */
	onCorrupt?: OnCorrupt
	/**
	 * Called for content that was kept beside the file, and for a change that was written under a lock that
	 * was then taken away (`LOCK_LOST`). Default: `process.emitWarning`.
	 */
	onWarning?: (warning: RegistryWarning) => void
}

/**
 * Updates a registry: reads it, lets `updater` make the next one of it, and replaces the file, all
 * under the registry's lock. When the promise resolves, the update is in the file.
 *
 * The updater, sync or async, gets an object of its own and returns the next registry. If it
 * returns that very object unchanged, nothing is written; changed in place, it is written. (A
 * number, or another primitive of a document, is unchanged if its text is.) If the updater throws
 * or rejects, the promise rejects with that very error, and nothing is written. The updater runs
 * again, on fresh content, if an older version of argus took the lock away before the update could
 * be written.
 *
 * What the updater returns must be what JSON holds, or the update is refused with `INVALID_VALUE`, which
 * names the place: plain objects, arrays, strings, finite numbers, booleans, `null`, and what has a
 * `toJSON` method. Refused are a `Map`, a `Set` and any other object of a class, functions, symbols, `NaN`,
 * `Infinity`, and `undefined` in an array; an undefined property is left out. A number that no double is
 * (an integer beyond 2^53, a decimal of many digits) reaches the updater as the nearest one; where the
 * updater leaves it in its place, the file keeps it. Moved to another property or index it is rounded, as
 * in values that are written whole. So is, in a list of which items were removed or several have changed, a number
 * that others in lists round to as well: it can't be told which of them it was. Items that are added at the end, and
 * changes within one item, round none.
 *
 * Updates of one registry run in order of arrival within a thread. Updates that wait together are
 * committed together: each updater gets its predecessor's result, an update that fails fails alone,
 * and each promise resolves when the commit is done.
 *
 * Waiting and fsync are done on other threads. The rest is done on this thread where it does not
 * block: a free lock, on a file system of this machine, a file of at most 256 KiB.
 *
 * In a folder each entry is changed in one step, and a reader can see some entries changed and others not yet.
 * If the process dies in the middle, the next call under the folder's lock finishes or undoes the update. The
 * updater runs again if a watcher has claimed the id of an entry that it adds. Changes of an entry that another
 * live process has claimed are refused with `UNSUPPORTED`, and so are members of the registry other than
 * `version`, `updatedAt` and `watchers`. `updatedAt` is not kept: it is read as the date of the last change.
 *
 * @param path The registry. Its folder is created if it is missing.
 * @returns What the updater returned.
 * In etcd it takes no lock: it is one transaction, and `updater` runs again if what it was given has changed before
 * that.
 *
 * @throws {RegistryError} Any code but `UNSUPPORTED_FILE_SYSTEM`; `CORRUPT` only with `onCorrupt: 'fail'`, and in
 * etcd; `UNSUPPORTED` only in a folder, and in etcd without its package; `UNAVAILABLE`, `OUTCOME_UNKNOWN` and
 * `STORE_LIMIT` only in etcd.
 */
export function updateRegistry(
	path: string | URL,
	updater: (registry: RegistryV1) => RegistryV1 | Promise<RegistryV1>,
	options?: UpdateOptions,
): Promise<RegistryV1>

/**
 * Like {@link updateRegistry}, on the calling thread, which it blocks; the updater must be
 * synchronous. Fails with `RE_ENTRANT` while an asynchronous update of this registry is under way
 * in this thread and is not being committed yet, because that update could never finish then. In an
 * `exit` handler no call that was under way can go on: what it waits for or holds is given up, nothing of
 * it is written unless its commit has begun, and the synchronous call proceeds. `signal` counts only if
 * it is aborted already.
 */
export function updateRegistrySync(
	path: string | URL,
	updater: (registry: RegistryV1) => RegistryV1,
	options?: UpdateOptions,
): RegistryV1

/**
 * Reads a registry without a lock and without write access. A file that is missing, that is no
 * registry, or that is of a newer schema reads as an empty registry, with a warning. Inside an updater of the
 * registry it finds what the updater was given, though updates before it in its batch are not in the file yet.
 *
 * In a folder each entry is read whole, and its `updatedAt` is the later of the record's own and the date of its
 * file. An entry that is there throughout is in the result, whatever other processes add and remove meanwhile.
 * The registry's own `updatedAt` is the date of the last entry that was renewed, added or removed.
 *
 * @throws {RegistryError} `PERMISSION_DENIED`, `TOO_LARGE` or `IO` if the file is there and can't be read;
 * `INVALID_VALUE`.
 */
export function readRegistry(path: string | URL): Promise<RegistryReadResult>

/** Like {@link readRegistry}, on the calling thread. */
export function readRegistrySync(path: string | URL): RegistryReadResult

/** How to watch a registry. */
export interface WatchOptions {
	/** Ends the iteration with `ABORTED` and closes the watch. */
	signal?: AbortSignal
	/**
	 * Called for content that reads as an empty registry: `CORRUPT` or `UNSUPPORTED_VERSION`, once
	 * per content; and for the damaged entries of a folder. A missing file is no warning. Default: `process.emitWarning`.
	 */
	onWarning?: (warning: RegistryWarning) => void
}

/** The states of a registry, one per call of `next()`. {@link watchRegistry} makes it. */
export interface RegistryWatch<T = RegistryV1> extends AsyncIterableIterator<T> {
	/**
	 * The state now, at the first call; then waits for one that differs from the last. Calls that
	 * don't wait for each other settle in order.
	 *
	 * @throws {RegistryError} `ABORTED`, `PERMISSION_DENIED`, `TOO_LARGE` or `IO`. The iteration is over then.
	 */
	next(): Promise<IteratorResult<T, undefined>>
	/** Ends the iteration, and every `next()` that waits, and closes the watch. */
	return(): Promise<IteratorResult<T, undefined>>
}

/**
 * Watches a registry: the value that {@link readRegistry} would give now, and another one after
 * each change of the file's content.
 *
 * ```js
 * for await (const registry of watchRegistry(path, { signal })) show(registry)
 * ```
 *
 * The watch follows the path, however its content changes: by updates, by writes in place, by
 * deleting the file (an empty registry), by deleting, replacing or creating its folders, by
 * pointing symbolic links elsewhere. Neither file nor folder has to exist yet. A burst of changes
 * is merged, until 15 ms without a change, for 100 ms at most. The last state is always delivered;
 * states before it may be left out. A late call of `next()` gets the state of its moment, and no
 * backlog. Content that equals the last delivered content is not delivered again. In a folder a state follows
 * when an entry was added, replaced, renewed or removed.
 *
 * A watch locks, creates and writes nothing, and read permission is enough, for the file and for
 * its folder. Waiting costs no CPU: the operating system's file events wake the watch. There are no
 * events for what another machine does on a network file system. Files are opened at the first
 * `next()` and closed at the end of the iteration: by leaving a `for await` loop, by `return()`, by
 * an abort, by an error, or with the thread.
 *
 * @param path The registry. A relative path counts from the working directory of this moment.
 * @throws {RegistryError} `INVALID_VALUE`, at the call. From `next()`: `ABORTED` once `signal` is
 * aborted; `PERMISSION_DENIED`, `TOO_LARGE` or `IO` if the file is there and can't be read or its
 * folder can't be watched, also at a limit of the system, which the message names.
 */
export function watchRegistry(path: string | URL, options?: WatchOptions): RegistryWatch

/**
 * Replaces a registry whole, under its lock. The registry is taken as it is at the time of the
 * call. A registry of a newer schema is not overwritten. In a folder this removes the entries that the new
 * registry lacks, as an update does.
 *
 * @throws {RegistryError} As {@link updateRegistry}.
 */
export function writeRegistry(
	path: string | URL,
	registry: RegistryV1,
	options?: UpdateOptions,
): Promise<void>

/** A held lock, for the code that runs under it. */
export interface HeldRegistryLock {
	/** The registry's absolute path, with symbolic links followed. */
	readonly path: string
	/**
	 * Replaces the registry under this lock. {@link readRegistry} reads it.
	 *
	 * @throws {RegistryError} `LOCK_LOST` if the lock was taken away; the value was not written then.
	 */
	write(registry: RegistryV1): Promise<void>
}

/**
 * Runs `fn` while holding a registry's lock. A folder is refused with `UNSUPPORTED`: watchers enter and renew
 * themselves in it without its lock, so no lock keeps it as it is; {@link updateRegistry} changes it. In etcd the lock
 * has a lease: a holder that was frozen for longer gets `LOCK_LOST`, and writes nothing.
 *
 * @returns What `fn` returned.
 * @throws {RegistryError} As {@link updateRegistry}; `LOCK_LOST` also if an older version of argus took
 * the lock away before `fn` was done, or a program has emitted `exit` itself, which gives up the lock.
 * What `fn` has written by then was written: the message says so. So was what it has written before `ABORTED`. In etcd
 * `OUTCOME_UNKNOWN` also if `fn` has run, and no server tells whether the lock was held until then.
 */
export function withRegistryLock<T>(
	path: string | URL,
	fn: (lock: HeldRegistryLock) => T | Promise<T>,
	options?: UpdateOptions,
): Promise<T>

/** What a document is, and under which lock. */
export interface DocumentOptions<T> {
	/**
	 * Under which lock the document is used. `'lock-file'` (default): a kernel lock on a file of its
	 * own, which stays, as in veil and as Rust's `Document` has it. `'registry'`: guard and lockfile,
	 * as {@link updateRegistry} takes them, for a file that older versions of argus share. One file
	 * is used under one kind of lock: the other kind is refused with `LOCK_MISMATCH`.
	 */
	lock?: 'lock-file' | 'registry'
	/**
	 * The lock file. All programs that share the document have to choose one lock file. Default: the
	 * document's path with its extension replaced by `.lock` (`config.lock` for `config.json`),
	 * beside the file that a symbolic link leads to.
	 */
	lockFile?: string | URL
	/**
	 * The schema version that the value's `version` must have, an integer from 0. A file with another
	 * one is refused with `UNSUPPORTED_VERSION`, and a newer one is not replaced either; a value with
	 * another one is not written (`INVALID_VALUE`). A value without a `version` is accepted.
	 */
	version?: number
	/**
	 * The value of a text; each time a new one, which is the updater's to change. If it throws, the
	 * content can't be decoded; if it throws a {@link RegistryError} with the code
	 * `UNSUPPORTED_VERSION`, calls are refused with that very error. Default: `JSON.parse`.
	 */
	decode?(text: string): T
	/**
	 * The text of a value; always one text for one value: an update compares texts to find out
	 * whether its updater changed the value. If it throws, or returns no string, the call fails with
	 * `INVALID_VALUE`, and nothing is written. Default: `JSON.stringify(value, null, 2)` of a value that
	 * JSON holds, as {@link updateRegistry} has it. Without `decode` and `encode`, updates keep numbers as
	 * it does.
	 */
	encode?(value: T): string
	/**
	 * The value that an update starts from where there is no file; each time a new one. What it
	 * throws, the caller gets; a promise is refused with `INVALID_VALUE`. Without it, a missing file is `NOT_FOUND`, and nothing is made.
	 */
	empty?(): T
	/**
	 * What an update does about content that can't be decoded. Default `'fail'`: a person may have mistyped a
	 * comma in a settings file, and must not lose the settings. `'keep'` needs `empty`; without it the update
	 * is refused nevertheless. `save` and a held lock's `write` replace such content in either case, and keep
	 * the bytes.
	 */
	onCorrupt?: OnCorrupt
	/**
	 * As in {@link UpdateOptions}: whether a write survives a power failure; one that is not durable can
	 * take earlier ones with it. Default true.
	 */
	durable?: boolean
	/**
	 * The Unix permission bits of a file that is new, less the umask and less the bits for execution: a document is
	 * data. Default 0o644.
	 */
	newFileMode?: number
	/**
	 * Called for content that was kept beside the file, and for a change that was written under a lock that
	 * was then taken away (`LOCK_LOST`). Default: `process.emitWarning`.
	 */
	onWarning?: (warning: RegistryWarning) => void
}

/** How long a call on a document waits, and what ends it. */
export interface DocumentCallOptions {
	/**
	 * How long to wait for the lock, in milliseconds; 0 is one try. Default 0 for `load` and `save`,
	 * and 2,000 for `update` and `withLock`.
	 */
	timeoutMs?: number
	/** As in {@link UpdateOptions}; only with `lock: 'registry'`. */
	staleMs?: number
	/** Aborts the wait, or the call up to the moment at which it writes. */
	signal?: AbortSignal
}

/** How to watch a document. */
export interface DocumentWatchOptions {
	/** Ends the iteration with `ABORTED` and closes the watch. */
	signal?: AbortSignal
	/** Called for content that can't be decoded. Default: the document's `onWarning`. */
	onWarning?: (warning: RegistryWarning) => void
}

/** What {@link Document.load} returns. */
export interface LoadedDocument<T> {
	/** The value. */
	value: T
	/**
	 * Whether it was read under the shared lock. Without it (the caller may not open the lock file,
	 * the file system has no locks, or the lock is a registry's, whose readers take none) the value
	 * is still one whole version, because a file is replaced in one step.
	 */
	locked: boolean
}

/** A held lock, for the code that runs under it. */
export interface HeldDocumentLock<T> {
	/** The document's absolute path, with symbolic links followed. */
	readonly path: string
	/**
	 * Replaces the document under this lock.
	 *
	 * @throws {RegistryError} `LOCK_LOST` if the lock was taken away; the value was not written then.
	 */
	write(value: T): Promise<void>
}

/**
 * A value in a file that several processes share, in JavaScript, in Rust, or in both: Rust's
 * `Document` on the file takes the lock that this one takes.
 *
 * ```js
 * const settings = new Document('settings.json', { empty: () => ({ theme: 'light' }) })
 * await settings.update((value) => ({ ...value, theme: 'dark' }))
 * const { value } = await settings.load()
 * ```
 *
 * To change a document, call `update`: between a `load` and a `save` another process may save, and
 * its change would be lost.
 */
export class Document<T = unknown> {
	/**
	 * Makes nothing and opens nothing.
	 *
	 * @param path The file. A relative path counts from the working directory of this moment.
	 * @throws {RegistryError} `INVALID_VALUE` for an argument that can't be used.
	 */
	constructor(path: string | URL, options?: DocumentOptions<T>)
	/** The absolute path. */
	readonly path: string
	/**
	 * The file that carries the lock: the lock file, or the guard with `lock: 'registry'`.
	 *
	 * @throws {RegistryError} `INVALID_VALUE` if the lock file would be the document itself or have the
	 * name of a registry's lockfile or guard, `IO` for what is no regular file.
	 */
	lockPath(): string
	/**
	 * Reads the value under a shared lock, in one try by default. Needs no write access. Inside an
	 * updater of the document, or inside {@link withLock}, it reads under the lock that is held there; inside an
	 * updater it finds what the updater was given, though updates before it in its batch are not in the file yet.
	 *
	 * @throws {RegistryError} `LOCK_BUSY` or `LOCK_TIMEOUT` with the lock file's path; `NOT_FOUND`;
	 * `PARSE`; `UNSUPPORTED_VERSION`; `LOCK_MISMATCH`; `ABORTED`; `PERMISSION_DENIED`;
	 * `TOO_LARGE`; `INVALID_VALUE`; `IO`.
	 */
	load(options?: DocumentCallOptions): Promise<LoadedDocument<T>>
	/** Like {@link load}, at once, on the calling thread. */
	loadSync(options?: DocumentCallOptions): LoadedDocument<T>
	/**
	 * Replaces the value under an exclusive lock, in one try by default. The value is taken as it is
	 * at the time of the call. Content that it replaces and that can't be decoded is kept beside the
	 * file, with a warning.
	 *
	 * @throws {RegistryError} As {@link update}, but for `NOT_FOUND` and `PARSE`.
	 */
	save(value: T, options?: DocumentCallOptions): Promise<void>
	/**
	 * Changes the value: reads it, lets `updater` make the next one of it, and replaces the file, all
	 * under one exclusive lock. When the promise resolves, the update is in the file.
	 *
	 * The updater works as that of {@link updateRegistry}: it may be async, runs again if the lock
	 * was lost, and updates that wait in one thread are committed together.
	 *
	 * @returns What the updater returned.
	 * @throws {RegistryError} Any code but `CORRUPT`, `ID_TAKEN` and `ENTRY_LOST`.
	 */
	update(updater: (value: T) => T | Promise<T>, options?: DocumentCallOptions): Promise<T>
	/** Like {@link update}, at once, on the calling thread, as {@link updateRegistrySync} does it. */
	updateSync(updater: (value: T) => T, options?: DocumentCallOptions): T
	/**
	 * Runs `fn` while holding the lock exclusively, as {@link withRegistryLock} does it.
	 *
	 * @returns What `fn` returned.
	 */
	withLock<R>(
		fn: (lock: HeldDocumentLock<T>) => R | Promise<R>,
		options?: DocumentCallOptions,
	): Promise<R>
	/**
	 * Watches the document, as {@link watchRegistry} does it. A file that is missing or can't be
	 * decoded is delivered as `empty()`. Without `empty` the iteration ends with `NOT_FOUND` or `PARSE`.
	 */
	watch(options?: DocumentWatchOptions): RegistryWatch<T>
}

/** The age at which an entry is pruned, in milliseconds: 60,000. */
export const DEFAULT_TTL_MS: 60000

/**
 * What makes an entry a watcher's own: as long as the entry names this process and this start, it
 * is the watcher's.
 */
export interface WatcherClaim {
	/** The entry's name. */
	id: string
	/** The watcher's process. */
	pid: number
	/** When the watcher started, in milliseconds since 1970. */
	startedAt: number
}

/**
 * The entry that an operation is about. By id: the entry of that id, whichever watcher has it. By
 * claim, or by a whole record, which makes a claim: the entry of that id, if it is still this
 * watcher's own.
 */
export type WatcherRef = string | WatcherClaim | WatcherRecord

/**
 * How to do an entry operation: {@link announceWatcher}, {@link claimWatcher},
 * {@link heartbeatWatcher}, {@link removeWatcher}, {@link pruneStaleWatchers}.
 *
 * Each is one atomic update that runs no JavaScript while it holds the lock. Operations on one
 * registry file that wait in one thread are done together, in order, with one commit; those on a folder one after
 * the other, each in one step. What they don't
 * touch keeps its spelling and order. The layout is that of `JSON.stringify(registry, null, 2)`, so
 * what JavaScript wrote keeps its bytes.
 */
export interface EntryOptions extends UpdateOptions {
	/**
	 * The time that the operation counts as done at, in milliseconds since 1970. Default: the moment
	 * at which the lock is held.
	 */
	now?: number
}

/**
 * Adds a watcher's entry, or replaces the entry of its id, whichever watcher has that. In a folder a process that
 * announces a watcher of its own, by its own pid, holds the entry's claim as after {@link claimWatcher}.
 *
 * @throws {RegistryError} As {@link updateRegistry}; `INVALID_VALUE` for what is no record.
 */
export function announceWatcher(
	path: string | URL,
	watcher: WatcherRecord,
	options?: EntryOptions,
): Promise<void>

/** How to claim an id. */
export interface ClaimOptions extends EntryOptions {
	/**
	 * Whether an id that is taken gets a suffix; else the claim fails with `ID_TAKEN`. Default true.
	 */
	suffix?: boolean
	/**
	 * Whether the entry of a dead process is replaced, judged as in {@link PruneOptions}. Default true.
	 */
	liveness?: boolean
	/**
	 * With `liveness`: the age, in milliseconds, at which the entry of a process of this machine that
	 * can't be judged, because it may be another container's, is replaced. Default
	 * {@link DEFAULT_TTL_MS}. `Infinity` for never.
	 */
	ttlMs?: number
}

/** What {@link claimWatcher} returns. */
export interface ClaimedWatcher {
	/** The record as it was entered: its `id` may have got a suffix. */
	watcher: WatcherRecord
	/** The claim to the entry, for the other operations. */
	claim: WatcherClaim
}

/**
 * Enters a watcher under an id of its own: the id of its record or, if that is taken, the first of
 * `-2`, `-3`, ... that is free. The entry of a dead process is replaced, and an expired one of a
 * process that can't be judged from here. No other entry is, nor one that this process itself has made.
 *
 * In a folder the process keeps the entry's file open, with a kernel lock, until it removes the entry or ends,
 * whichever thread has made the claim and also after that thread: by this lock other processes know for sure that
 * it lives, frozen or not and in whichever container, and that it is dead once it is. An entry for another
 * process, by its `pid`, is judged by that.
 *
 * @throws {RegistryError} As {@link announceWatcher}; `ID_TAKEN` without a suffix.
 */
export function claimWatcher(
	path: string | URL,
	watcher: WatcherRecord,
	options?: ClaimOptions,
): Promise<ClaimedWatcher>

/**
 * Dates a watcher's entry now; by a whole record, the entry becomes that record. An entry that was
 * removed is never brought back.
 *
 * In a folder this dates the entry's file, and waits for no other process or update. By the claim that this process
 * holds, and an absolute path as the claim was made with, it is done on this thread when the call returns, in two
 * system calls. The date is never earlier than the record's own `updatedAt`. A record whose other fields have
 * changed replaces the file, under the folder's lock; if another live process holds the entry's claim, that is
 * refused with `UNSUPPORTED`.
 *
 * @returns Whether the entry that is meant was there; if not, nothing was written.
 * @throws {RegistryError} As {@link updateRegistry}.
 */
export function heartbeatWatcher(
	path: string | URL,
	entry: WatcherRef,
	options?: EntryOptions,
): Promise<boolean>

/**
 * Removes a watcher's entry. By claim or record, an entry that is another watcher's by now is left
 * alone.
 *
 * @returns Whether the entry that is meant was there; if not, nothing was written.
 * @throws {RegistryError} As {@link updateRegistry}.
 */
export function removeWatcher(
	path: string | URL,
	entry: WatcherRef,
	options?: EntryOptions,
): Promise<boolean>

/** What to prune. */
export interface PruneOptions extends EntryOptions {
	/**
	 * The age, in milliseconds, beyond which an entry is removed: the time since its `updatedAt`.
	 * Default {@link DEFAULT_TTL_MS}. `Infinity` for liveness alone.
	 */
	ttlMs?: number
	/**
	 * Whether to remove younger entries, too, if their process is gone, or if their pid is another
	 * process's by now. It is another process's if that process began over 10 s after `startedAt` and
	 * has lived for over a minute in which the entry was not renewed (else it is the watcher, and the
	 * clock was set forward). Only entries whose `host` is of this machine alone (loopback,
	 * unspecified, or its name) are judged, and of these only processes whose `pid` surely means
	 * something to the calling process ({@link PidScope}): not those of another container. A process
	 * that may not be signalled counts as alive. In a folder the kernel tells of each claim whether its process
	 * lives; entries that no process has claimed are judged as above. Default false.
	 */
	liveness?: boolean
}

/** An entry that was pruned. */
export interface PrunedWatcher {
	/** The entry's name in the registry. */
	id: string
	/** The entry as it was. */
	watcher: WatcherRecord
	/**
	 * `expired`: older than `ttlMs`. `dead`: its process is gone, or its pid is another process's, or
	 * the machine was booted since.
	 */
	reason: 'expired' | 'dead'
}

/**
 * Removes entries by age and, with `liveness`, by whether their process lives. With nothing to
 * remove it takes no lock, writes nothing, and needs no write access; like any call it runs after
 * the earlier ones of its thread. An entry without a date never expires.
 *
 * In etcd it removes a hundred entries at a time. If it can't go on after the first hundred, it resolves with what it
 * has removed, also when its timeout is over or its signal was aborted.
 *
 * @returns What was removed, in the order of the file.
 * @throws {RegistryError} As {@link updateRegistry}.
 */
export function pruneStaleWatchers(
	path: string | URL,
	options?: PruneOptions,
): Promise<PrunedWatcher[]>

/** When a heartbeat renews the entry, and how. */
export interface HeartbeatOptions extends Omit<UpdateOptions, 'signal'> {
	/**
	 * The longest pause between two renewals, in milliseconds. Each pause is up to a quarter shorter,
	 * at random, so that watchers that were started together don't renew together. Default 15,000.
	 */
	intervalMs?: number
	/**
	 * Called with the error of every renewal that failed; the next one is tried nevertheless.
	 * `ENTRY_LOST` means that the entry was removed or pruned, or is another watcher's. A heartbeat
	 * never brings it back: announce the watcher again (`claimWatcher` with `suffix: false` does so
	 * only if its id is free), or stop. Also called with the error of a removal that failed. What it
	 * throws becomes a warning. Default: `process.emitWarning`.
	 */
	onError?: (error: unknown) => void | Promise<void>
	/** Whether the heartbeat keeps the process alive. Default false. */
	keepAlive?: boolean
}

/** A running heartbeat. */
export interface RegistryHeartbeat {
	/**
	 * Stops it, and waits for a renewal that is under way. With `remove`, then removes the entry of
	 * the watcher that `getWatcher` returns, if it is still that watcher's own. Rejects only over an
	 * argument (`INVALID_VALUE`), before it does anything: any other error goes to `onError`. The promise
	 * of an `onError` that a renewal has called is not waited for.
	 *
	 * @returns Whether an entry was removed.
	 */
	stop(options?: { remove?: boolean }): Promise<boolean>
}

/**
 * Renews a watcher's entry until it is stopped; the first time after an interval, as the entry is
 * fresh when it is announced. `getWatcher` returns the whole record and is called before each
 * renewal. There are never two renewals at once, and never an unhandled rejection. A renewal that
 * is under way is finished before the process ends; the heartbeat itself keeps no process alive,
 * unless `keepAlive` is set.
 *
 * @throws {RegistryError} `INVALID_VALUE` for a bad argument.
 */
export function startRegistryHeartbeat(
	path: string | URL,
	getWatcher: () => WatcherRecord | Promise<WatcherRecord>,
	options?: HeartbeatOptions,
): RegistryHeartbeat

/** How a mirror works. */
export interface MirrorOptions extends UpdateOptions {
	/**
	 * Called for each failure, once until it is another one, and with `ID_TAKEN` for an id that different watchers
	 * have on the two sides. The mirror goes on nevertheless. If a defect of this package ends it, `INTERNAL` says so.
	 * What it throws becomes a warning. Default: `process.emitWarning`.
	 */
	onError?: (error: unknown) => void | Promise<void>
	/** Stops the mirror, like {@link RegistryMirror.stop}. */
	signal?: AbortSignal
}

/** A running mirror. */
export interface RegistryMirror {
	/**
	 * True once this mirror works and both sides are in step, which is never as long as another one works; false
	 * if it has ended before. Never rejects.
	 */
	readonly working: Promise<boolean>
	/** Stops it, and waits for what is under way. The file keeps the entries that were copied. */
	stop(): Promise<void>
}

/**
 * Keeps the registry file `file` in step with the registry at `source`, of any store, for programs that know only
 * the file. Entries that such programs write into the file are kept, and copied to `source`, so that
 * readers of either see all watchers.
 *
 * An entry is renewed, changed and removed on the side on which it was written first, and the mirror does that to
 * the copy. If the copy is removed, so is its entry, unless its watcher has renewed it since, or lives and belongs
 * to `source`: then the copy comes back. If different watchers have one id on the two sides, each side keeps its
 * own. Dates reach the file every two seconds, and all else at once.
 *
 * One mirror works on a file at a time, in whichever process; further ones wait, and one of them takes over as soon
 * as that one ends or dies. A mirror keeps its process alive until it is stopped, and ends with its thread.
 *
 * @throws {RegistryError} `INVALID_VALUE` for a bad argument, for a `file` that is a folder or is `source`;
 * `UNSUPPORTED` for a `file` in etcd, and for a `source` in etcd without its package. Later errors go to `onError`.
 */
export function mirrorRegistry(
	source: string | URL,
	file: string | URL,
	options?: MirrorOptions,
): RegistryMirror

/** A held kernel lock; released by `release()`, by `using`, or with its thread. */
export interface KernelLock {
	/** The lock file. It stays when the lock is released. */
	readonly path: string
	/** Releases the lock. A second call does nothing. */
	release(): void
	[Symbol.dispose](): void
}

/**
 * Takes a shared kernel lock on a lock file, in one try. The file is created if it is missing.
 *
 * @throws {RegistryError} `LOCK_BUSY` at once if the lock is held exclusively, in this process or
 * another; `UNSUPPORTED_FILE_SYSTEM` where there are no kernel locks; `NOT_FOUND` if there is no
 * such folder; `PERMISSION_DENIED`, `INVALID_VALUE`, `IO`.
 */
export function tryLockShared(lockPath: string | URL): KernelLock

/**
 * Takes an exclusive kernel lock on a lock file, in one try. The file is created if it is missing.
 *
 * @throws {RegistryError} `LOCK_BUSY` at once if the lock is held, in this process or another;
 * `UNSUPPORTED_FILE_SYSTEM` where there are no kernel locks; `NOT_FOUND` if there is no such
 * folder; `PERMISSION_DENIED`, `INVALID_VALUE`, `IO`.
 */
export function tryLockExclusive(lockPath: string | URL): KernelLock

/** What {@link inspectLock} found. */
export interface LockStatus {
	/** The registry's absolute path, with symbolic links followed. */
	path: string
	/** `stale`: a lockfile is there, but its holder is gone; the next update takes it over. Never so in etcd. */
	state: 'free' | 'held' | 'stale'
	/** The holder, or the last one if the lock is stale. */
	holder?: LockHolder
	/**
	 * What excludes two holders on this file system. `kernel-lock`: a lock that the kernel releases
	 * as soon as its holder is gone. `lockfile-only`: the file system has no kernel locks, only the
	 * lockfile. `lease`: etcd has the lock, and removes it when its holder is gone. `unknown`: there is no guard
	 * yet by which that could be found out.
	 */
	guarantee: 'kernel-lock' | 'lockfile-only' | 'lease' | 'unknown'
}

/**
 * Looks at a registry's lock without taking it. Needs no write access. To be exact it takes the
 * kernel lock, shared, for a moment. A folder's lock is the one under which entries are removed, taken over and
 * updated; `guarantee` then also says whether claims are known by kernel locks, or judged by pid and age. In etcd
 * it is the lock of {@link withRegistryLock}, and since when it is held is not known.
 *
 * @throws {RegistryError} `UNAVAILABLE` in etcd, if no server answers.
 */
export function inspectLock(path: string | URL, options?: { staleMs?: number }): Promise<LockStatus>

/**
 * Where argus keeps its registry: `ARGUS_REGISTRY_PATH`; else `registry.json` in `ARGUS_HOME`;
 * else `.argus/registry.json` in the home folder, which is `HOME` (`USERPROFILE` on Windows) or, without that,
 * the one that the system has for the user, as in `os.homedir()`. An empty variable counts as unset. The
 * variables are those of this thread's `process.env`.
 *
 * @throws {RegistryError} `NOT_FOUND` if there is no home folder; `INVALID_VALUE` if it is not an absolute path.
 */
export function registryPath(): string

/** A new, empty registry. */
export function createEmptyRegistry(now?: number): RegistryV1

/** The entries of a registry, except those that are not objects. */
export function listWatchers(registry: RegistryV1): WatcherRecord[]

/**
 * A registry with a watcher's entry added or replaced, dated `now`; the given registry stays as it
 * is. Safe for any id, also `__proto__`.
 */
export function setWatcherEntry(
	registry: RegistryV1,
	watcher: WatcherRecord,
	now?: number,
): RegistryV1

/**
 * A registry without an entry, dated `now`; the given registry itself if it has no such entry.
 */
export function removeWatcherEntry(registry: RegistryV1, id: string, now?: number): RegistryV1
