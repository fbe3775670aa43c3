import { readdirSync, statSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { inWords, saidInWords } from '../../src/night/inWords.ts'
import { replay } from '../../src/replay/replay.ts'
import { createWorld } from '../../src/engine/world.ts'
import { readRecording } from '../../src/journal/recording.ts'
import { nights } from './nights.ts'
import { simulate } from './simulate.ts'

/** Recorded nights as regression tests: what was said then is said now. */
const folder = new URL('.', import.meta.url).pathname
const recordings = readdirSync(folder).filter(name => name.endsWith('.ndjson.gz'))
const SIZE_MAX = 200_000

describe.each(recordings)('%s', name => {
  test('says what it said when it was recorded', async () => {
    const replayed = await replay({ open: () => readRecording(folder + name), instance: 'LATISS' })
    expect(replayed.difference).toBeNull()
    expect(replayed.compared).toBeGreaterThan(20)
    expect(replayed.notCovered).toBe(0)
  })

  test('is small enough to be kept', () => {
    expect(statSync(folder + name).size).toBeLessThan(SIZE_MAX)
  })
})

test('every night of the library has its recording', () => {
  expect(recordings).toEqual(expect.arrayContaining(Object.keys(nights).map(name => `${name}.ndjson.gz`)))
})

test('a night that is simulated twice gives the same journal', async () => {
  const plan = nights['twoRestarts'] ?? { asked: [] }
  expect(await simulate(plan)).toEqual(await simulate(plan))
})

test('an ordinary night reads as it should', async () => {
  await expect(await transcript('ordinary')).toMatchFileSnapshot(`${folder}ordinary.transcript.txt`)
})

test('a night of failing pipelines reads as it should', async () => {
  await expect(await transcript('pipelinesFail')).toMatchFileSnapshot(`${folder}pipelinesFail.transcript.txt`)
})

/** What came in, and indented what followed; seconds after the first entry. */
async function transcript(name: string): Promise<string> {
  const world = createWorld({ instance: 'LATISS' })
  const lines: string[] = []
  let began: number | null = null
  for await (const entry of readRecording(`${folder}${name}.ndjson.gz`)) {
    began ??= entry.at
    if (entry.what.type === 'engine.said') continue
    lines.push(`${((entry.at - began) / 1_000).toFixed(3).padStart(9)}  ${inWords(entry)}`)
    for (const line of saidInWords(world.apply(entry))) lines.push(`${''.padStart(13)}${line}`)
  }
  return `${lines.join('\n')}\n`
}
