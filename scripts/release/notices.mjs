// The licences of what is compiled into the addons and the program, for the packages that carry them.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './paths.mjs'

const LICENCE_FILE = /^(?:licen[cs]e|copying|copyright|notice|unlicense)/i

/** The addon and the program of one platform have the same notices. */
const core = {
	what: 'The addon and the program contain',
	args: ['--features', 'cli,node'],
	hasProgram: true,
}

/** What the notices of each kind of file begin with, and the crate that cargo is asked about. */
const sources = {
	addon: core,
	program: core,
	etcdAddon: { what: 'The addon contains', args: ['--manifest-path', 'etcd/node/Cargo.toml'] },
}

/**
 * Every crate of others that is linked into a file of a Rust target; not those that only take part in building. `asked`
 * is what cargo is told about the crate to begin with.
 */
const linkedCrates = (target, asked) => {
	const args = ['metadata', '--format-version', '1', '--locked', ...asked]
	const { packages, resolve } = JSON.parse(
		execFileSync('cargo', [...args, '--filter-platform', target], {
			cwd: root,
			encoding: 'utf8',
			maxBuffer: 1 << 28,
		}),
	)
	const crates = new Map(packages.map((each) => [each.id, each]))
	const nodes = new Map(resolve.nodes.map((node) => [node.id, node]))
	const isMacro = ({ targets }) => targets.some(({ kind }) => kind.includes('proc-macro'))
	const found = new Set()
	const visit = (id) => {
		if (found.has(id) || isMacro(crates.get(id))) return
		found.add(id)
		for (const { pkg, dep_kinds: kinds } of nodes.get(id).deps) {
			if (kinds.some(({ kind }) => kind === null)) visit(pkg)
		}
	}
	visit(resolve.root)
	return [...found]
		.map((id) => crates.get(id))
		.filter(({ source }) => source !== null)
		.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The texts that a crate asks to be passed on: where there is a choice, the short one of MIT. */
const licenceTexts = ({ manifest_path: manifest, license }) => {
	const files = readdirSync(dirname(manifest), { withFileTypes: true })
		.filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name))
		.map(({ name }) => name)
	const ofMit = /\bMIT\b/.test(license) ? files.filter((name) => /mit/i.test(name)) : []
	return (ofMit.length > 0 ? ofMit : files).map((name) =>
		readFileSync(join(dirname(manifest), name), 'utf8').trim(),
	)
}

/** The C library that a program for musl has in it. */
const MUSL = `musl: MIT, https://musl.libc.org
Copyright (c) 2005-2020 Rich Felker, et al. Its licence is the text below that begins with "Permission is hereby
granted, free of charge".`

/** The notices for a kind of file of a release target: every crate with its licence, then every text once. */
export const noticesFor = ({ platform, target }, kind) => {
	const { what, args, hasProgram } = sources[kind]
	const crates = linkedCrates(target, args)
	/** The crates of each text. */
	const texts = new Map()
	for (const crate of crates) {
		for (const text of licenceTexts(crate)) {
			texts.set(text, [...(texts.get(text) ?? []), crate.name])
		}
	}
	const list = crates.map(
		({ name, version, license, repository }) =>
			`${name} ${version}: ${license}${repository ? `, ${repository}` : ''}`,
	)
	if (hasProgram && platform.endsWith('-musl')) list.push(MUSL)
	const rule = '-'.repeat(72)
	const sections = [...texts].map(([text, names]) => `${rule}\n${names.join(', ')}\n\n${text}`)
	return `${what} code of these packages, and of the standard library of Rust
(MIT OR Apache-2.0, https://github.com/rust-lang/rust):

${list.join('\n')}

${sections.join('\n\n')}
`
}
