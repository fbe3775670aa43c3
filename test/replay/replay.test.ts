import { join } from 'node:path'
import { expect, test } from 'vitest'
import { instanceOf } from '../../src/replay/instanceOf.ts'
import { entriesIn, rangeOfDay } from '../../src/replay/range.ts'
import { replay, ReplayError } from '../../src/replay/replay.ts'
import { MACHINES_VERSION } from '../../machines/index.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { readRecording, writeRecording } from '../../src/journal/recording.ts'
import { NIGHTFALL } from '../harness.ts'
import { nights } from '../scenarios/nights.ts'
import { simulate } from '../scenarios/simulate.ts'
import { aFolder } from './folder.ts'

const night = (name: string) => simulate(nights[name] ?? { asked: [] })
const folding = (entries: readonly Entry[]) =>
  replay({ open: () => createMemoryJournal(entries).read(), instance: 'LATISS' })

test('a night is replayed identically, and every entry that said something is compared', async () => {
  const entries = await night('pipelinesFail')
  const replayed = await folding(entries)
  expect(replayed).toMatchObject({
    entries: entries.length,
    difference: null,
    notCovered: 0,
    writtenBy: [MACHINES_VERSION],
  })
  const covered = entries.flatMap(({ what }) => (what.type === 'engine.said' ? what.digests : []))
  expect(replayed.compared).toBe(covered.length)
})

test('a changed exit code is found at its entry, with who heard it and what this version says', async () => {
  const entries = await night('ordinary')
  const at = entries.findIndex(({ what }) => what.type === 'executor.exited')
  const tampered = changed(entries, at, { exitCode: 3 })
  const { difference, compared } = await folding(tampered)
  expect(difference).toMatchObject({ n: at + 1, heard: expect.stringContaining('exitCode 3') })
  expect(difference?.actors[0]).toMatch(/^job\.\S+ hears executor\.exited: active\.running → settled$/)
  expect(difference?.says.join('\n')).toContain('detect failed with exit code 3')
  expect(difference?.recorded).not.toBe(difference?.now)
  expect(compared).toBeLessThan(at + 1)
})

test('an entry that leads to nothing any more is a difference, and so is one that led to nothing before', async () => {
  const entries = await night('ordinary')
  const at = entries.findIndex(({ what }) => what.type === 'executor.metric')
  const silenced = changed(entries, at, { attempt: 9 })
  expect((await folding(silenced)).difference).toMatchObject({ n: at + 1, now: null, says: [] })
  const forgotten = entries.map(entry =>
    entry.what.type === 'engine.said'
      ? { ...entry, what: { ...entry.what, digests: entry.what.digests.filter(([n]) => n !== at + 1) } }
      : entry,
  )
  expect((await folding(forgotten)).difference).toMatchObject({ n: at + 1, recorded: null })
})

test('what no digest covers is counted, never called identical', async () => {
  const whole = await night('ordinary')
  const entries = whole.slice(
    0,
    whole.findIndex(({ what }) => what.type === 'engine.said'),
  )
  expect(await folding(entries)).toMatchObject({ compared: 0, difference: null })
  expect((await folding(entries)).notCovered).toBeGreaterThan(15)
})

test('the stamp of the machines that wrote a recording is reported', async () => {
  const entries = await night('ordinary')
  const first = entries.findIndex(({ what }) => what.type === 'engine.started')
  const versions = { ocps: '0.0.9', xstate: '5.0.0', node: '20.0.0', machines: '0' }
  const replayed = await folding(changed(entries, first, { versions }))
  expect(replayed.writtenBy).toEqual(['0'])
  // The version of the machines is said in softwareVersions, so this entry itself differs.
  expect(replayed.difference?.n).toBe(first + 1)
})

test('an entry that no machine could hear is refused by its number', async () => {
  const entries = await night('ordinary')
  const at = entries.findIndex(({ what }) => what.type === 'command.processData')
  await expect(folding(changed(entries, at, { after: null, detectors: null }))).rejects.toThrow(ReplayError)
  await expect(folding(changed(entries, at, { after: null, detectors: null }))).rejects.toThrow(`entry ${at + 1} `)
})

test('a recording that begins at rest is replayed from there, also compressed', async () => {
  const entries = await night('longAndQuiet')
  const rest = entries.findIndex(({ what }) => what.type === 'engine.quiescent')
  expect(rest).toBeGreaterThan(1_000)
  const path = join(await aFolder(), 'rest.ndjson.gz')
  await writeRecording(entriesIn(createMemoryJournal(entries), { from: NIGHTFALL + 1_500_000, to: null }), path)
  const replayed = await replay({ open: () => readRecording(path), instance: 'LATISS' })
  expect(replayed).toMatchObject({ entries: entries.length - rest, difference: null, notCovered: 0 })
  expect(replayed.compared).toBeGreaterThan(3)
  expect(await instanceOf(readRecording(path))).toEqual({ instance: 'LATISS', certain: true })
})

test('a range begins early enough to explain itself and ends before its end', async () => {
  const entries = await night('longAndQuiet')
  const journal = createMemoryJournal(entries)
  const early = await listed(entriesIn(journal, { from: NIGHTFALL + 60_000, to: NIGHTFALL + 90_000 }))
  expect(early[0]?.n).toBe(1)
  expect(Math.max(...early.map(({ at }) => at))).toBeLessThan(NIGHTFALL + 90_000)
  expect(early.length).toBe(entries.filter(({ at }) => at < NIGHTFALL + 90_000).length)
})

test('an observing day goes from noon to noon UTC', () => {
  expect(rangeOfDay('20261122')).toEqual({ from: Date.UTC(2026, 10, 22, 12), to: Date.UTC(2026, 10, 23, 12) })
  expect(rangeOfDay('20260230')).toBeNull()
  expect(rangeOfDay('today')).toBeNull()
})

/** The same night with one entry changed. */
function changed(entries: readonly Entry[], at: number, what: object): Entry[] {
  return entries.map((entry, index) => (index === at ? { ...entry, what: { ...entry.what, ...what } } : entry))
}

async function listed(entries: AsyncIterable<Entry>): Promise<Entry[]> {
  const all: Entry[] = []
  for await (const entry of entries) all.push(entry)
  return all
}
