import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { Configuration } from '../../machines/domain/configuration.ts'
import { comparisonOf } from '../../src/replay/comparison.ts'
import { historyOf } from '../../src/replay/history.ts'
import { entriesIn } from '../../src/replay/range.ts'
import { whatIf } from '../../src/replay/whatIf.ts'
import type { Entry } from '../../src/journal/entry.ts'
import { createMemoryJournal } from '../../src/journal/memory.ts'
import { readRecording } from '../../src/journal/recording.ts'
import { aConfiguration, aPipeline, NIGHTFALL } from '../harness.ts'
import { createNight } from '../night.ts'
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

describe('with prefetch', () => {
  const longest = (entries: readonly Entry[]) => Math.max(0, ...mostAtOnce(entries))
  const night = (prefetch: number, slots = 4) => {
    const plan = surveyNight(2, 24)
    return simulate({ ...plan, configuration: { ...plan.configuration, slots, prefetch } })
  }

  test('a night comes out as it was recorded', async () => {
    const entries = await night(3)
    expect(longest(entries)).toBe(4)
    const answer = await suppose(createMemoryJournal(entries).read(), one => one)
    expect(answer).toMatchObject({ changed: [], changedGroups: [], startedInAnotherOrder: 0, supposed: {} })
    expect(answer.whatIf).toEqual(answer.recorded)
  })

  test.each([
    ['none recorded, much supposed', 0, 50],
    ['much recorded, none supposed', 50, 0],
  ])('handing over in advance runs no more than there are slots, and no job faster: %s', async (_, before, after) => {
    const answer = await suppose(createMemoryJournal(await night(before)).read(), one => ({ ...one, prefetch: after }))
    expect(answer).toMatchObject({ changed: [], changedGroups: [], startedInAnotherOrder: 0, supposed: {} })
    expect(answer.whatIf).toEqual(answer.recorded)
  })

  test('a job that takes two slots is not begun beside one that leaves it only one', async () => {
    const large = (one: Configuration) => ({
      ...one,
      prefetch: 50,
      slots: 3,
      pipelines: {
        detect: aPipeline('detect', { scope: 'detector', slots: 2 }),
        stack: aPipeline('stack', { scope: 'group', slots: 2 }),
      },
    })
    const single = (one: Configuration) => ({ ...one, prefetch: 0, slots: 1 })
    const entries = await night(0)
    const [two, one] = [
      await suppose(createMemoryJournal(entries).read(), large),
      await suppose(createMemoryJournal(entries).read(), single),
    ]
    expect(two.whatIf.makespanMs).toBe(one.whatIf.makespanMs)
    // What was handed over is not overtaken any more, by the job that combines a group either.
    expect(two.startedInAnotherOrder).toBe(1)
  })

  test('jobs stopped before a slot is free end as they did, and do not hold back those behind them', async () => {
    const names = ['E1', 'E2', 'E3']
    const entries = await simulate({
      configuration: { slots: 1, prefetch: 2 },
      asked: [
        { at: 0, name: 'start' },
        { at: 1, name: 'enable' },
        ...names.map(obsid => ({ at: 1_000, name: 'processData', body: { dataId: { obsid }, pipeline: 'quicklook' } })),
        { at: 1_500, name: 'abortJob', body: night => ({ jobId: night.acks('m4').at(-1)?.jobIds[0] ?? '' }) },
      ],
    })
    const same = await suppose(createMemoryJournal(entries).read(), one => one)
    expect(same.whatIf).toEqual(same.recorded)
    expect(same.recorded).toMatchObject({ outcomes: { succeeded: 2, aborted: 1 }, makespanMs: 4_000 })
    expect(same.supposed).toEqual({})
    // Where there is room it has begun when the abort comes, and is stopped as it runs.
    const roomy = await suppose(createMemoryJournal(entries).read(), one => ({ ...one, slots: 3 }))
    expect(roomy.whatIf).toMatchObject({ outcomes: { succeeded: 2, aborted: 1 }, makespanMs: 2_000 })
    expect(Object.keys(roomy.supposed)).toEqual([
      'jobs of quicklook that never ran in the recording were taken to last the median of those that did, and to succeed',
    ])
  })
})

test('a job that was begun before the end of the one before it was heard goes as long as it went', async () => {
  const night = await createNight({ configuration: aConfiguration({ slots: 1, prefetch: 1 }) })
  await night.enable()
  const submit = async (obsid: string) =>
    (await night.command('processData', { dataId: { obsid }, pipeline: 'quicklook' }))?.jobIds[0] ?? ''
  const [first, second] = [await submit('E1'), await submit('E2')]
  await night.started(first)
  await night.advance(1_000)
  await night.started(second)
  await night.advance(1)
  await night.exited(first)
  await night.advance(999)
  await night.exited(second)
  const same = await suppose(night.journal.read(), one => one)
  expect(same).toMatchObject({ changed: [], startedInAnotherOrder: 0, supposed: {} })
  expect([same.recorded.makespanMs, same.whatIf.makespanMs]).toEqual([2_000, 2_001])
})

/** How many processes there were after each entry. */
function mostAtOnce(entries: readonly Entry[]): number[] {
  let running = 0
  return entries.map(({ what }) => {
    if (what.type === 'executor.started') running += 1
    if (what.type === 'executor.exited') running -= 1
    return running
  })
}
