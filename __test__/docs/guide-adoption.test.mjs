// scripts/adopt-argus.mjs and the modules that it copies: they fit the generations of argus that
// docs/how-to/adopting-in-argus.md names, by what stands for those here.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as prettier from 'prettier'
import { cleanUp } from '../support/cleanup.mjs'
import { folder } from '../support/folder.mjs'
import { adopt, build, checkout, filesOf, GENERATIONS, moduleFiles } from '../support/guide.mjs'

const made = (t, generation) => {
	const argus = checkout(generation)
	cleanUp(t, argus.remove)
	return argus
}

for (const generation of GENERATIONS) {
	test(`an argus ${generation.replace('-', ' ')} compiles, strictly, on the copied modules`, (t) => {
		const argus = build(generation)
		cleanUp(t, argus.remove)
		assert.equal(argus.problems.join(''), '')
		assert.match(argus.said, /^changed packages\/argus-core\/src\/registry\/lock\.ts$/m)
		assert.doesNotMatch(argus.said, /by hand/)
	})

	test(`an argus ${generation.replace('-', ' ')} is changed once, and only what is committed`, (t) => {
		const { dir, commit } = made(t, generation)
		const edited = join(dir, 'packages', 'argus-core', 'src', 'registry', 'registry.ts')
		const own = `${readFileSync(edited, 'utf8')}// uncommitted\n`
		writeFileSync(edited, own)
		const before = filesOf(dir)
		const refused = adopt(dir)
		assert.equal(refused.status, 1)
		assert.match(
			refused.stderr,
			/commit or stash these first:\n.*registry\.ts\nNothing was changed\.\n$/,
		)
		assert.deepEqual(filesOf(dir), before)
		commit()
		// What would not be changed may be uncommitted.
		writeFileSync(join(dir, 'packages', 'argus-core', 'src', 'index.ts'), '// other\n')
		assert.equal(adopt(dir).status, 0)
		const after = filesOf(dir)
		assert.notDeepEqual(after, before)
		const again = adopt(dir)
		assert.deepEqual([again.status, again.stdout], [0, 'nothing to change\n'])
		assert.deepEqual(filesOf(dir), after)
		const { dependencies } = JSON.parse(after.get('packages/argus-core/package.json'))
		assert.match(dependencies['argus-registry'], /^\^\d/)
		assert.match(after.get('packages/argus-core/package.json'), /^\t"dependencies": \{$/m)
	})
}

test('a module that does not fit argus is noticed', (t) => {
	const argus = build('without-reservations', (dir) => {
		const file = join(dir, 'packages', 'argus-core', 'src', 'registry', 'registry.ts')
		const text = readFileSync(file, 'utf8')
		writeFileSync(file, text.replace('warnings.map(({ message }) => message)', 'warnings'))
	})
	cleanUp(t, argus.remove)
	assert.match(argus.problems.join(''), /registry\.ts.*RegistryWarning\[\]/s)
})

test('what is no argus, or one that is not known, is refused', (t) => {
	const at = folder(t)
	const none = adopt(at.dir)
	assert.equal(none.status, 1)
	assert.match(none.stderr, /is no checkout of an argus .*\nNothing was changed\./)
	const { dir, commit } = made(t, 'without-reservations')
	const rename = (file, from, to) => {
		const path = join(dir, 'packages', 'argus-watcher', 'src', file)
		writeFileSync(path, readFileSync(path, 'utf8').replaceAll(from, to))
		commit()
	}
	rename('startWatcherRuntime.ts', 'announceWatcher(record)', 'announceWatcher(entry)')
	assert.match(
		adopt(dir).stderr,
		/startWatcherRuntime\.ts announces its watcher in a way that is not known/,
	)
	rename('registry/registry.ts', 'resolveUniqueWatcherId', 'findId')
	assert.match(adopt(dir).stderr, /a version that is not known/)
	assert.equal(adopt('--bogus').status, 2)
	assert.equal(adopt().status, 2)
	const help = adopt('--help')
	assert.equal(help.status, 0)
	assert.match(help.stdout, /adopt-argus\.mjs CHECKOUT/)
})

test('the modules are formatted as argus formats its own', async () => {
	const config = await prettier.resolveConfig(moduleFiles[0], { editorconfig: false })
	assert.equal(config.printWidth, 150)
	for (const file of moduleFiles) {
		const text = readFileSync(file, 'utf8')
		assert.ok(await prettier.check(text, { ...config, filepath: file }), file)
	}
})
