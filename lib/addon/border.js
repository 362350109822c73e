'use strict'

// The border between lib/ and the addon: what each expects of the other. A bundle carries lib/, and the addon
// beside it is updated apart from it, so the version of the package can't say whether the two fit.

/**
 * The version of the border. It changes, here and in src/node/mod.rs (`BORDER_VERSION`), when lib/ could no
 * longer use an addon as it was, or the other way round: a function, parameter or member that crosses the
 * border is added or removed, or has another type or meaning. Versions of the package with one border version
 * work together.
 */
const BORDER_VERSION = 1

/**
 * The hash of addon.d.ts, less its comments, for that version: `npm run check` and a test fail when the
 * declarations have changed without it. Once a version of the package is published, its pair of border version
 * and hash never changes: new declarations get the next number.
 */
const DECLARATIONS_HASH = '1c7158c4f6b63f6b'

module.exports = { BORDER_VERSION, DECLARATIONS_HASH }
