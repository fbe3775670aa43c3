import { fileURLToPath } from 'node:url'
import { writeRecording } from '../../src/journal/recording.ts'
import { nights } from './nights.ts'
import { simulate } from './simulate.ts'

/**
 * Makes the recordings of the library again: `npm run build && node dist/test/scenarios/record.js [name…]`. To be run when machines were
 * changed on purpose, after MACHINES_VERSION was raised; look at the difference `ocps replay` reports before. The nights of a real
 * instance (real-*.ndjson.gz) are not made again by this: README in this folder.
 */
const wanted = process.argv.slice(2)
// The program runs from dist/, the recordings lie with the sources.
const folder = fileURLToPath(new URL('../../../test/scenarios/', import.meta.url))

for (const [name, plan] of Object.entries(nights)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const entries = await simulate(plan)
  const path = `${folder}${name}.ndjson.gz`
  await writeRecording(entries, path)
  process.stdout.write(`${name}: ${entries.length} entries\n`)
}
