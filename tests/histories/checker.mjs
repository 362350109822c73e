// Judges a history: whether there is an order of its operations, one at a time, that explains every answer
// and keeps to real time. The search is that of Wing and Gong with the memory of Lowe, as in porcupine.
//
// An operation is `{ calledAt, answeredAt, name, value, answer }`. One whose process was killed has no answer:
// its `answeredAt` is Infinity, and it may have taken effect at any time since it was called, or never.

/** What each operation does to the value of a key, by its answer: the next value, or IMPOSSIBLE. */
const IMPOSSIBLE = Symbol('impossible')
const when = (isPossible, next) => (isPossible ? next : IMPOSSIBLE)

const steps = {
	/** Sets the value, and answers the one before. */
	swap: (state, { value, answer }) => when(state === answer.before, value),
	/** Adds one, and answers the count before. */
	count: (state, { answer }) => when((state ?? 0) === answer.before, (state ?? 0) + 1),
	/** Sets the value, whatever there was. */
	announce: (_, { value }) => value,
	/** Sets the value of a free key, or of one whose process is dead, which is not known here. */
	claim: (state, { value, answer }) => (answer.isTaken ? when(state !== null, state) : value),
	heartbeat: (state, { answer }) => when(answer.was === (state !== null), state),
	remove: (state, { answer }) => when(answer.was === (state !== null), null),
	read: (state, { answer }) => when(answer.value === state, state),
}

/** What an operation without an answer does if it takes effect. */
const unanswered = {
	swap: (_, { value }) => value,
	count: (state) => (state ?? 0) + 1,
	announce: (_, { value }) => value,
	claim: (_, { value }) => value,
	heartbeat: (state) => state,
	remove: () => null,
	read: (state) => state,
}

const step = (state, operation) =>
	operation.answer
		? steps[operation.name](state, operation)
		: unanswered[operation.name](state, operation)

/** The calls and answers of a history, in the order of time, as a list that operations are lifted from. */
const eventsOf = (operations) => {
	const events = operations.flatMap((operation, index) => [
		{ index, operation, at: operation.calledAt, isCall: true },
		{ index, operation, at: operation.answeredAt, isCall: false },
	])
	// Of two at one time the call comes first: so they overlap, which claims less.
	events.sort((one, other) => one.at - other.at || Number(other.isCall) - Number(one.isCall))
	const head = { next: undefined }
	let last = head
	const answers = new Map()
	for (const event of events) {
		Object.assign(event, { before: last, next: undefined })
		last.next = event
		last = event
		if (!event.isCall) answers.set(event.index, event)
	}
	for (const event of events) if (event.isCall) event.answerEvent = answers.get(event.index)
	return head
}

const lift = (event) => {
	event.before.next = event.next
	if (event.next) event.next.before = event.before
}

const putBack = (event) => {
	event.before.next = event
	if (event.next) event.next.before = event
}

/**
 * Whether the operations on one key can be explained, beginning with `state`. If not: the longest order that
 * was found, and the operation that no order gets past.
 */
export const judge = (operations, state = null) => {
	const head = eventsOf(operations)
	let open = operations.filter(({ answeredAt }) => answeredAt < Number.POSITIVE_INFINITY).length
	let done = 0n
	const seen = new Set()
	const order = []
	let longest = { length: -1 }
	let current = state
	let event = head.next
	while (open > 0) {
		if (event?.isCall) {
			const next = step(current, event.operation)
			const with_ = done | (1n << BigInt(event.index))
			const key = `${with_.toString(36)} ${next === IMPOSSIBLE ? '' : next}`
			if (next !== IMPOSSIBLE && !seen.has(key)) {
				seen.add(key)
				order.push({ event, current, done })
				if (event.operation.answer) open -= 1
				current = next
				done = with_
				lift(event)
				lift(event.answerEvent)
				event = head.next
				continue
			}
			event = event.next
			continue
		}
		if (order.length > longest.length) {
			const operationsInOrder = order.map(({ event: { operation } }) => operation)
			longest = { length: order.length, order: operationsInOrder, at: event?.operation }
		}
		const undone = order.pop()
		if (!undone) return { isLinearizable: false, longest: longest.order, at: longest.at }
		if (undone.event.operation.answer) open += 1
		current = undone.current
		done = undone.done
		putBack(undone.event.answerEvent)
		putBack(undone.event)
		event = undone.event.next
	}
	return { isLinearizable: true }
}
