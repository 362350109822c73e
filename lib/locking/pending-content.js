'use strict'

// What the updates of a batch have made of a file's content, until it is committed.

/** @import { LockHandle } from '../addon/addon.d.ts' */
/** @import { Content } from '../codec/content.js' */
/** @import { LockCall } from '../options.js' */
/** @import { Change } from './held-lock.js' */

/**
 * Content that was opened for an updater: the value that the updater is given, how to encode what
 * it makes of that, and how to find out whether it has changed that.
 *
 * @typedef {{
 *   given: unknown,
 *   corrupt: string | undefined,
 *   encode(next: unknown): string,
 *   isChanged(next: unknown, text: string): boolean,
 * }} Opened
 */

const { look, open, withoutMark } = require('../codec/content.js')
const { runIn } = require('../context.js')
const { updateAborted } = require('./abort-signal.js')
const { commit, contentOf } = require('./held-lock.js')

/** The file's content as the next commit will write it. Codecs are callers' code, as updaters are. */
class PendingContent {
	/** @param {LockHandle} lock */
	constructor(lock) {
		this.lock = lock
		this.content = contentOf(lock)
		/**
		 * The text to write, which may begin with a byte order mark that no codec gets.
		 *
		 * @type {string}
		 */
		this.text = ''
		/**
		 * The calls that changed it since the last commit, and why each found it corrupt, if it did.
		 *
		 * @type {Pick<Change, 'call' | 'corrupt'>[]}
		 */
		this.changes = []
	}

	get isCommitted() {
		return this.changes.length === 0
	}

	/**
	 * What an updater of the call has to read in place of the file.
	 *
	 * @param {LockCall<unknown>} call
	 */
	unwritten({ path, lockName, folder }) {
		if (this.isCommitted) return undefined
		return { name: folder ? lockName : path, content: this.content }
	}

	/**
	 * What a call finds that replaces the content unread.
	 *
	 * @param {LockCall<unknown>} call
	 */
	look(call) {
		if (this.content.codec === call.codec) return { corrupt: undefined }
		return runIn(call.context, () => look(call, this.content))
	}

	/**
	 * What a call finds that updates the content.
	 *
	 * @param {LockCall<unknown>} call
	 * @returns {Opened}
	 */
	open(call) {
		return runIn(call.context, () => open(call, this.content))
	}

	/**
	 * @param {LockCall<unknown>} call
	 * @param {string} text
	 * @param {string | undefined} corrupt
	 */
	set(call, text, corrupt) {
		/** @type {Content} */
		this.content = { exists: true, text: withoutMark(text), codec: call.codec }
		this.text = text
		this.changes.push({ call, corrupt })
	}

	/**
	 * Takes what an updater made of the value that it was given.
	 *
	 * @param {LockCall<unknown>} call
	 * @param {Opened} opened
	 * @param {unknown} next
	 */
	accept(call, { corrupt, encode, isChanged }, next) {
		if (call.signal?.aborted) throw updateAborted(call.path, call.signal)
		runIn(call.context, () => {
			const text = encode(next)
			if (isChanged(next, text)) this.set(call, text, corrupt)
		})
	}

	/**
	 * Commits the changes of calls; returns a promise only if that takes another thread.
	 *
	 * If one of the calls is durable, all changes are: that call may have found that another one had
	 * made its change. Without changes the file is made durable, because a process may have written it
	 * that did not.
	 *
	 * @param {LockCall<unknown>[]} calls
	 * @param {{ release: boolean }} how
	 */
	commit(calls, how) {
		const [first] = this.changes
		const durableCall = calls.find((call) => call.durable)
		const durable = durableCall !== undefined
		if (!first) {
			if (!durable) return undefined
			const unchanged = {
				call: durableCall,
				calls: [],
				text: undefined,
				durable,
				corrupt: undefined,
			}
			return commit(this.lock, unchanged, how)
		}
		const changed = this.changes.map(({ call }) => call)
		this.changes = []
		// Only the first found what is in the file: the others found what it has made of that.
		const change = { ...first, calls: changed, text: this.text, durable }
		return commit(this.lock, change, how)
	}
}

module.exports = { PendingContent }
