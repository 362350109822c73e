// What calls fail with.

import assert from 'node:assert/strict'

/** What a promise rejects with; a test fails by one that does not. */
export const caught = (promise) =>
	promise.then(
		() => assert.fail('resolved'),
		(error) => error,
	)

/** What a call throws, or rejects with; undefined if it succeeds. */
export const failureOf = async (call, ...args) => {
	try {
		await call(...args)
	} catch (error) {
		return error
	}
	return undefined
}
