// Renders the pictures and tables: from docs/benchmark.json, or from the raw data of a run
// (`node benchmark/publish.mjs target/benchmark.json`), which then becomes docs/benchmark.json.

import { readFileSync } from 'node:fs'
import { publish, readPublished, render } from './publish/publish.mjs'

const [file] = process.argv.slice(2)
if (file) await publish(JSON.parse(readFileSync(file, 'utf8')))
else await render(readPublished())
