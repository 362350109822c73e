// A child's end of the line to the playground.

import { EventEmitter } from 'node:events'

export const settings = JSON.parse(process.argv[2])

/** Emits each order under its name. */
export const orders = new EventEmitter()
process.on('message', (order) => orders.emit(order.type, order))

// A playground that was killed can't stop its children.
process.on('disconnect', () => process.exit())

// Ctrl-C reaches every process of the terminal; the playground decides who ends when.
process.on('SIGINT', () => {})

/** Resolves when the message is out of this process, so that a kill can't swallow it. */
export const tell = (type, details) =>
	new Promise((resolve, reject) => {
		process.send({ type, ...details }, (error) => (error ? reject(error) : resolve()))
	})

export const tellReport = (report) => tell('report', { report })
