/** TLS to the servers. Each PEM is a text, or the name of a file that holds it. */
export interface EtcdTlsOptions {
	/** The certificates that have signed the servers'. */
	ca: string
	/** This program's certificate, if the servers ask for one. With `key`. */
	certificate?: string
	/** The key of that certificate. */
	key?: string
	/** The name in the servers' certificates, if it is not the host in the path. */
	serverName?: string
}

/** How a registry in etcd is reached. */
export interface EtcdOptions {
	/** Talk to the servers by TLS. Default: without. */
	tls?: EtcdTlsOptions
	/** The user, if the servers ask for one. With `password` or `passwordFile`. */
	user?: string
	/** The user's password. */
	password?: string
	/** The name of a file that holds the user's password. A line end after it is no part of it. */
	passwordFile?: string
	/**
	 * How long an entry stays without a heartbeat of its watcher: the time to live of its lease, in milliseconds,
	 * rounded up to whole seconds. Default 60 000, at least 2 000.
	 */
	leaseMs?: number
	/** How long one server has time to answer before the next one is asked, in milliseconds. Default 400. */
	answerWithinMs?: number
	/**
	 * How long a call without a timeout may take in all, such as reading; and how long a commit has at least, however
	 * long its updater took. In milliseconds, default 2 000.
	 */
	readWithinMs?: number
}

/**
 * Says how the registry at a path is reached, for all calls of this process. A registry that is not configured is
 * reached without TLS and without a user. To be called before the first call on that registry; a second time only with
 * the same options, as by another thread. Reads the files, and opens no connection.
 *
 * @param path `etcd://host:port[,host:port]/prefix`. No user, password or option is taken from it.
 * @throws {RegistryError} `INVALID_VALUE` for options or certificates that can't be used, or that come too late;
 * `NOT_FOUND`, `PERMISSION_DENIED` or `IO` for a file that can't be read.
 */
export function configure(path: string, options: EtcdOptions): void

/** What argus-registry drives the store by. No part of what this package promises to other callers. */
export const addon: unknown
