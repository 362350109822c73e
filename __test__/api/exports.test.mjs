// What the package exports is what index.d.ts declares: names, kinds, parameters and constants.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import * as esm from '../../index.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const require = createRequire(import.meta.url)
const exported = require('../../index.js')

/** The values that index.d.ts declares: the symbol of each by its name. */
const declared = () => {
	const file = join(root, 'index.d.ts')
	const program = ts.createProgram([file], { strict: true, types: ['node'] })
	const checker = program.getTypeChecker()
	const module = checker.getSymbolAtLocation(program.getSourceFile(file))
	const values = checker
		.getExportsOfModule(module)
		.filter(({ flags }) => flags & (ts.SymbolFlags.Value & ~ts.SymbolFlags.TypeAlias))
	return { checker, values: new Map(values.map((symbol) => [symbol.name, symbol])) }
}

const { checker, values } = declared()

const typeOf = (symbol) => checker.getTypeOfSymbol(symbol)

/** How many parameters a declared function has, with those that may be left out. */
const parametersOf = (symbol) =>
	Math.max(
		...typeOf(symbol)
			.getCallSignatures()
			.map(({ parameters }) => parameters.length),
	)

test('every export is declared, and every declared value exported', () => {
	const names = Object.keys(exported).sort()
	assert.deepEqual(names, [...values.keys()].sort())
	assert.ok(names.length >= 24)
})

test('ES modules can import every export by its name', () => {
	for (const name of values.keys()) assert.equal(Reflect.get(esm, name), exported[name], name)
})

test('functions have the declared names and parameters', () => {
	const functions = [...values].filter(([, symbol]) => symbol.flags & ts.SymbolFlags.Function)
	assert.ok(functions.length >= 21)
	for (const [name, symbol] of functions) {
		assert.equal(typeof exported[name], 'function', name)
		assert.equal(exported[name].name, name)
		// A parameter with a default value is not part of a function's length.
		const source = String(exported[name])
		const defaults = (/^(?:async )?\(([^)]*)/.exec(source)?.[1] ?? '').match(/[^=]=(?!=)/g) ?? []
		assert.equal(exported[name].length + defaults.length, parametersOf(symbol), name)
	}
})

test('constants have the declared values, and the classes are classes', () => {
	const constants = [...values].filter(([, symbol]) => symbol.flags & ts.SymbolFlags.Variable)
	assert.deepEqual(constants.map(([name]) => name).sort(), ['DEFAULT_TTL_MS', 'REGISTRY_VERSION'])
	for (const [name, symbol] of constants) assert.equal(exported[name], typeOf(symbol).value, name)
	const classes = [...values].filter(([, symbol]) => symbol.flags & ts.SymbolFlags.Class)
	assert.deepEqual(classes.map(([name]) => name).sort(), ['Document', 'RegistryError'])
	assert.equal(new exported.RegistryError('IO', 'message', { path: '/x' }) instanceof Error, true)
})

test('Document is a class that can be extended', () => {
	const { Document } = exported
	assert.throws(() => Document('/x'), TypeError)
	assert.equal(Document.name, 'Document')
	const document = new Document('/x')
	assert.ok(document instanceof Document)
	assert.equal(document.constructor, Document)
	class Settings extends Document {
		folder() {
			return dirname(this.path)
		}
	}
	const settings = new Settings('/x/settings.json')
	assert.ok(settings instanceof Settings && settings instanceof Document)
	assert.equal(settings.folder(), resolve('/x'))
})

/**
 * The codes of errors that JavaScript does not have: a value without a text is INVALID_VALUE there.
 */
const ONLY_RUST = ['SERIALIZE']

test('the codes of errors are those of the core', () => {
	const rust = readFileSync(join(root, 'src', 'error.rs'), 'utf8')
	const codes = [...rust.matchAll(/^\s+Error::\w+ \{ \.\. \} => "([A-Z_]+)",$/gm)].map(([, c]) => c)
	const [signature] = typeOf(values.get('RegistryError')).getConstructSignatures()
	const code = checker.getTypeOfSymbol(signature.parameters[0])
	const declaredCodes = code.types.map(({ value }) => value)
	const shared = codes.filter((each) => !ONLY_RUST.includes(each))
	assert.deepEqual(declaredCodes.sort(), shared.sort())
})
