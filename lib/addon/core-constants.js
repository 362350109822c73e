'use strict'

// The defaults and limits that this package has from the Rust core, which is their one place.

module.exports = require('./load.js').coreConstants()
