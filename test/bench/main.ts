/**
 * `npm run bench [-- --quick --only ocps,bullmq --rounds N --json FILE]`: OCPS and what else could be used, on the same
 * work in the same run. Prints tables; ratios are what counts, the machine's own speed varies by a third from hour to
 * hour.
 */
import { writeFileSync } from 'node:fs'
import { bench } from './bench.ts'
import { optionsOf } from './options.ts'
import { documentOf, tables } from './table.ts'

const { sizes, only, json } = optionsOf(process.argv.slice(2), ['quick', 'only', 'rounds', 'json'])
const result = await bench(sizes, only)
console.log(tables(result))
if (json !== undefined) writeFileSync(json, `${JSON.stringify(documentOf(result), null, 1)}\n`)
if (!result.isComplete) process.exitCode = 1
