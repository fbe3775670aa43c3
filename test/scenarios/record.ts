import { fileURLToPath } from 'node:url'
import { readdirSync } from 'node:fs'
import { digestOf } from '../../src/engine/digest.ts'
import { createWorld } from '../../src/engine/world.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { readRecording, writeRecording } from '../../src/journal/recording.ts'
import { nights } from './nights.ts'
import { simulate } from './simulate.ts'

/**
 * Makes the recordings of the library again: `npm run build && node dist/test/scenarios/record.js [name…]`. To be run
 * when machines were changed on purpose, after MACHINES_VERSION was raised; look at the difference `ocps replay`
 * reports before. Of the nights of a real instance (real-*.ndjson.gz) the inputs stay as they were, and only the
 * digests of what follows from them are made again.
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

for (const file of readdirSync(folder)) {
  const name = /^(real-.*)\.ndjson\.gz$/.exec(file)?.[1]
  if (name === undefined || (wanted.length > 0 && !wanted.includes(name))) continue
  const entries = await withNewDigests(`${folder}${file}`)
  await writeRecording(entries, `${folder}${file}`)
  process.stdout.write(`${name}: ${entries.length} entries, new digests\n`)
}

async function withNewDigests(path: string): Promise<Entry[]> {
  const world = createWorld({ instance: 'LATISS' })
  const digests = new Map<number, string>()
  const entries: Entry[] = []
  for await (const entry of readRecording(path)) {
    const digest = digestOf(world.apply(entry))
    if (digest !== null) digests.set(entry.n, digest)
    const { what } = entry
    if (what.type !== 'engine.said') entries.push(entry)
    else
      entries.push({
        ...entry,
        what: { ...what, digests: what.digests.map(([n, before]) => [n, digests.get(n) ?? before] as const) },
      })
  }
  return entries
}
