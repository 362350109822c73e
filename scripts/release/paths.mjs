// Where a release is made. Everything is below target/, which git ignores.

import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** Tools that a release needs, and what they need. */
export const toolsFolder = join(root, 'target', 'release-tools')

/** Cargo's folder for all release targets: those of development builds have other flags. */
export const buildFolder = join(root, 'target', 'release-builds')

/** The finished files, under the names that they have in their packages. */
export const filesFolder = join(root, 'target', 'release-files')

/** The npm packages as they are published, one folder each. */
export const packagesFolder = join(root, 'target', 'release-packages')
