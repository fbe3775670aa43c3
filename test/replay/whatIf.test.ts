import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Configuration } from '../../machines/domain/configuration.ts'
import { comparisonOf } from '../../src/engine/comparison.ts'
import { historyOf } from '../../src/engine/history.ts'
import { entriesIn } from '../../src/engine/range.ts'
import { whatIf } from '../../src/engine/whatIf.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { readRecording } from '../../src/journal/recording.ts'
import { aPipeline, NIGHTFALL } from '../harness.ts'
import { nights, surveyNight } from '../scenarios/nights.ts'
import { simulate } from '../scenarios/simulate.ts'

const scenarios = new URL('../scenarios/', import.meta.url).pathname
const recordings = readdirSync(scenarios).filter(name => name.endsWith('.ndjson.gz'))

async function suppose(entries: AsyncIterable<Entry>, change: (configuration: Configuration) => Configuration) {
  const history = await historyOf(entries, 'LATISS')
  const { tallying, supposed, problems } = whatIf({
    history,
    reconfigure: loaded => (loaded.ok ? { ...loaded, configuration: change(loaded.configuration) } : loaded),
  })
  return { ...comparisonOf(history.tallying, tallying), supposed, problems }
}

const supposeNight = async (name: string, change: (configuration: Configuration) => Configuration) =>
  suppose(createMemoryJournal(await simulate(nights[name] ?? { asked: [] })).read(), change)

describe.each(recordings)('%s under its own configuration', name => {
  test('comes out as it was recorded: outcomes, times, order, groups, refusals', async () => {
    const answer = await suppose(readRecording(scenarios + name), configuration => configuration)
    expect(answer).toMatchObject({ changed: [], changedGroups: [], startedInAnotherOrder: 0, problems: [] })
    expect(answer.whatIf).toEqual(answer.recorded)
  })
})

test('fewer slots make the same jobs wait longer and the night last longer, and nothing else', async () => {
  const entries = await simulate(surveyNight(4, 40))
  const answer = await suppose(createMemoryJournal(entries).read(), one => ({ ...one, slots: 2 }))
  expect(answer).toMatchObject({ changed: [], changedGroups: [], supposed: {} })
  expect(answer.recorded.outcomes).toEqual(answer.whatIf.outcomes)
  expect(answer.recorded.waitingMs.max).toBe(0)
  // 40 detectors of some 2.7 s on 2 slots: the last one waits for 19 others.
  expect(answer.whatIf.waitingMs.max).toBeGreaterThan(40_000)
  expect(answer.whatIf.turnaroundMs.p50).toBeGreaterThan(answer.recorded.turnaroundMs.p50)
  expect(answer.whatIf.makespanMs).toBeGreaterThan(answer.recorded.makespanMs)
})

test('under the policy fail a group with a failed member fails instead of being combined in part', async () => {
  const answer = await supposeNight('groupsClose', one => ({ ...one, groups: { ...one.groups, policy: 'fail' } }))
  expect(answer.changedGroups).toContainEqual({ group: 'counted', recorded: 'partial', whatIf: 'failed' })
  expect(answer.whatIf.groups.failed).toBeGreaterThan(answer.recorded.groups.failed ?? 0)
})

test('a shorter time limit ends the jobs that took longer, and a longer one is not taken to save those that hung', async () => {
  const shorter = await supposeNight('ordinary', one => ({
    ...one,
    pipelines: { ...one.pipelines, detect: aPipeline('detect', { scope: 'detector', timeLimitMs: 2_050 }) },
  }))
  // Detectors 2 and 3 run 2074 ms and 2111 ms.
  expect(shorter.whatIf.outcomes).toMatchObject({ timedOut: 6 })
  const longer = await supposeNight('pipelinesFail', one => ({
    ...one,
    pipelines: Object.fromEntries(
      Object.entries(one.pipelines).map(([name, pipeline]) => [name, { ...pipeline, timeLimitMs: 30_000 }]),
    ),
  }))
  expect(longer.whatIf.outcomes).toEqual(longer.recorded.outcomes)
  expect(Object.keys(longer.supposed).join()).toContain('run on without end')
})

test('a shorter queue refuses commands, and newest first starts in another order', async () => {
  const entries = await simulate(surveyNight(3, 60))
  const small = await suppose(createMemoryJournal(entries).read(), one => ({ ...one, queueDepthMax: 50 }))
  expect(small.whatIf.refused).toEqual({ QUEUE_FULL: 3 })
  expect(small.whatIf.jobs).toBe(0)
  expect(small.changed[0]).toMatchObject({ recorded: 'succeeded', whatIf: 'none' })
  const turned = await suppose(createMemoryJournal(entries).read(), one => ({ ...one, slots: 8, order: 'newestFirst' }))
  expect(turned.startedInAnotherOrder).toBeGreaterThan(20)
})

test('more retries run attempts that never ran, for the median of their pipeline, and say so', async () => {
  const answer = await supposeNight('groupsClose', one => ({
    ...one,
    pipelines: {
      ...one.pipelines,
      quicklook: aPipeline('quicklook', { retries: { attemptsMax: 2, backoffMs: 1_000, on: [1] } }),
    },
  }))
  expect(answer.whatIf.outcomes.failed ?? 0).toBeLessThan(answer.recorded.outcomes.failed ?? 0)
  expect(answer.supposed).toMatchObject({
    'jobs of quicklook that never ran in the recording were taken to last the median of those that did, and to succeed':
      expect.any(Number),
  })
})

test('a recording that begins at rest is supposed under the new configuration from its first entry on', async () => {
  const entries = await simulate(nights['longAndQuiet'] ?? { asked: [] })
  const rest = () => entriesIn(createMemoryJournal(entries), { from: NIGHTFALL + 1_500_000, to: null })
  const same = await suppose(rest(), one => one)
  expect(same.whatIf).toEqual(same.recorded)
  const none = await suppose(rest(), one => ({ ...one, pipelines: { other: aPipeline('other') } }))
  // It is at rest between the 46th exposure and the 47th.
  expect(none.whatIf.refused).toEqual({ UNKNOWN_PIPELINE: 15 })
})

test('a configuration that is wrong is named, and nothing is started under it', async () => {
  const history = await historyOf(
    createMemoryJournal(await simulate(nights['ordinary'] ?? { asked: [] })).read(),
    'LATISS',
  )
  const problem = '_init.yaml: slots: a whole number is expected'
  const { problems, tallying } = whatIf({ history, reconfigure: () => ({ ok: false, problem }) })
  expect(problems).toEqual([problem])
  expect(tallying.tally()).toMatchObject({ jobs: 0, refused: { CONFIGURATION_INVALID: 1 } })
})
