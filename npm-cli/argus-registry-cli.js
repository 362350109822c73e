#!/usr/bin/env node
'use strict'

// The launcher is argus-registry's. It finds the program among the packages of the file that was started.
require('argus-registry/bin/argus-registry.js')
