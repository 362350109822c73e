// Options of calls that wait much longer than a test may take, so that a slow machine fails none, and sync nothing.

export const UP_TO_A_MINUTE = { timeoutMs: 60_000, durable: false }

export const UP_TO_TWO_MINUTES = { timeoutMs: 120_000, durable: false }

/** A call of a document: whether it is durable is an option of the document. */
export const DOCUMENT_UP_TO_A_MINUTE = { timeoutMs: 60_000 }
