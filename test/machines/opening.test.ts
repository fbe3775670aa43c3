import { describe, expect, test } from 'vitest'
import type { CloseGroupCommand } from '../../machines/domain/commands.ts'
import type { Emission, ShelfItem } from '../../machines/domain/messages.ts'
import { admission, retryAdmission, type Admission } from '../../machines/opening.ts'
import { aCaller, aConfiguration, aPipeline, aProcessData, aRetry } from '../harness.ts'

/*
 * What an admitted command leads to; that it is admitted is tested with admission.ts, that it is done with the machine.
 */

const caller = aCaller('m1', 'maintel')
const other = aPipeline('other', { timeLimitMs: 2_000 })
const configuration = aConfiguration({
  dataPath: '/data/{obsid}.fits',
  pipelines: { quicklook: aPipeline('quicklook', { fallback: ['other', 'gone'] }), other, stack: aPipeline('stack') },
})
const async = { instance: 'LATISS', configuration }
const sync = { instance: 'LATISS', configuration: { ...configuration, mode: 'sync' as const } }
const command = aProcessData({
  caller,
  dataId: { instrument: 'LATISS', obsid: 'E1', group: null },
  overrides: { threshold: 5 },
  configFile: 'deep.yaml',
  version: 'w1',
  priority: 3,
  after: [{ jobId: 'j0', requires: 'settled' }],
  readiness: { policy: 'skip' },
})
const inGroup = { ...command, dataId: { ...command.dataId, group: 'G' } }
const closing = { ...command, pipeline: 'stack', dataId: { instrument: 'LATISS', obsid: null, group: 'G' } }
const closeGroup: CloseGroupCommand = {
  type: 'command.closeGroup',
  caller,
  jobId: 'j1',
  group: 'G',
  pipeline: null,
  policy: 'skip',
  patienceMs: 5,
}
const item: ShelfItem = {
  jobId: 'old',
  retryOf: null,
  at: 0,
  dataId: { instrument: 'LATISS', obsid: 'E1', group: 'G', detector: null },
  pipeline: 'quicklook',
  overrides: { threshold: 5 },
  configFile: null,
  version: 'w1',
  priority: 4,
  timeLimitMs: 90_000,
  outcome: 'failed',
}
const again = aRetry({ caller })

const admitted = (of: typeof command | typeof closeGroup, to = async) => admission(to, { command: of, known: {} })

describe('a command for exposures', () => {
  test('opens a job with all that was asked for, as the configuration has it', () => {
    const admittedNow = admitted(command)
    expect(admittedNow.jobs).toBe(1)
    expect(jobs(admittedNow)).toEqual([
      {
        kind: 'job',
        instance: 'LATISS',
        jobId: 'j1',
        commandId: 'm1',
        askedBy: 'maintel',
        dataId: { instrument: 'LATISS', obsid: 'E1', group: null, detector: null },
        dataPath: '/data/{obsid}.fits',
        pipeline: configuration.pipelines['quicklook'],
        overrides: { threshold: 5 },
        configFile: 'deep.yaml',
        version: 'w1',
        priority: 3,
        // A fallback that the configuration does not have is passed over.
        fallbacks: [other],
        retryOf: null,
        after: [{ jobId: 'j0', requires: 'settled' }],
        readiness: { policy: 'skip' },
        timeLimitMs: 60_000,
        members: null,
      },
    ])
    expect(inShort(admittedNow.emissions)).toEqual(['ack 303 j1', 'open job.j1', 'watch job.j1'])
  })

  test('opens one job for each detector, and its group before them', () => {
    const both = admitted({ ...inGroup, detectors: [93, 94] })
    expect(jobs(both).map(({ jobId, dataId }) => [jobId, dataId.detector])).toEqual([
      ['j1-93', 93],
      ['j1-94', 94],
    ])
    expect(inShort(both.emissions)).toEqual([
      'ack 303 j1-93,j1-94',
      'open gather.G',
      'watch gather.G',
      'open job.j1-93',
      'watch job.j1-93',
      'member.accepted to gather.G',
      'open job.j1-94',
      'watch job.j1-94',
      'member.accepted to gather.G',
    ])
    expect(opened(both, 'gather')).toMatchObject([{ group: 'G', stem: 'j1' }])
  })

  test('in synchronous mode, and as an execute, is answered by an actor that awaits its jobs', () => {
    const awaited = ['open reply.m1', 'watch reply.m1', 'open job.j1', 'watch job.j1', 'reply.await to reply.m1']
    expect(inShort(admitted(command, sync).emissions)).toEqual(awaited)
    const execute = admitted({ ...command, askedAs: 'execute' })
    expect(inShort(execute.emissions)).toEqual(awaited)
    expect(opened(execute, 'reply')).toMatchObject([{ askedAs: 'execute', jobIds: ['j1'] }])
    expect(jobs(execute)).toMatchObject([{ askedAs: 'execute' }])
  })
})

describe('a command that closes a group', () => {
  test('tells the group what is asked of its combination, and opens nothing', () => {
    const { emissions, jobs: count } = admitted({ ...closing, detectors: [94] })
    expect(count).toBe(0)
    expect(emissions).toEqual([
      {
        type: 'tell',
        to: 'gather.G',
        message: {
          type: 'group.close',
          caller,
          answerTo: null,
          pipeline: 'stack',
          policy: null,
          patienceMs: null,
          options: { overrides: { threshold: 5 }, configFile: 'deep.yaml', version: 'w1', timeLimitMs: null },
          configuration,
          detector: 94,
        },
      },
    ])
  })

  test('that names exposures opens the group, which may know none of them', () => {
    const named = admitted({ ...closing, members: ['E1', 'E2'] })
    expect(inShort(named.emissions)).toEqual(['open gather.G', 'watch gather.G', 'group.close to gather.G'])
    expect(closed(named)?.members?.map(({ obsid }) => obsid)).toEqual(['E1', 'E2'])
  })

  test('by its id has no options; in synchronous mode the group answers at last', () => {
    expect(closed(admitted(closeGroup))).toMatchObject({ policy: 'skip', patienceMs: 5, options: null })
    const waiting = admitted(closeGroup, sync)
    expect(inShort(waiting.emissions)).toEqual([
      'open reply.m1',
      'watch reply.m1',
      'reply.await to reply.m1',
      'group.close to gather.G',
    ])
    expect(closed(waiting)).toMatchObject({ answerTo: 'reply.m1' })
  })
})

describe('a retry', () => {
  test('takes jobs off the shelf and opens them again as they were, linked to the first of their kind', () => {
    const retried = retryAdmission(async, { command: again, items: [item, { ...item, jobId: 'b', retryOf: 'a' }] })
    expect(retried.jobs).toBe(2)
    expect(retried.emissions[0]).toEqual({
      type: 'tell',
      to: 'shelf',
      message: { type: 'shelf.taken', jobIds: ['old', 'b'] },
    })
    expect(jobs(retried)).toMatchObject([
      {
        jobId: 'again-r1',
        retryOf: 'old',
        priority: 4,
        version: 'w1',
        after: [],
        askedBy: 'maintel',
        commandId: 'm1',
        // An item of old does not say; and a command may only shorten the pipeline's time.
        readiness: { policy: 'runNow' },
        timeLimitMs: 60_000,
      },
      { jobId: 'again-r2', retryOf: 'a' },
    ])
    expect(opened(retried, 'gather')).toMatchObject([{ group: 'G', stem: 'again', rules: null }])
  })

  test('of several groups names the gather jobs of each after its own first job', () => {
    const elsewhere = { ...item, jobId: 'b', dataId: { ...item.dataId, group: 'H' } }
    const retried = retryAdmission(async, { command: again, items: [item, elsewhere] })
    expect(opened(retried, 'gather')).toMatchObject([{ stem: 'again-r1' }, { stem: 'again-r2' }])
  })

  test('with another pipeline is fitted to it', () => {
    const [job] = jobs(retryAdmission(async, { command: { ...again, pipeline: 'other' }, items: [item] }))
    expect(job).toMatchObject({ pipeline: other, overrides: {}, version: 'w1', timeLimitMs: 2_000, fallbacks: [] })
  })
})

test('with prefetch a job is told how many slots there are', () => {
  const ahead = { ...async, configuration: { ...configuration, prefetch: 2 } }
  expect(jobs(admitted(command, ahead))).toMatchObject([{ capacity: 2 }])
  expect(jobs(admitted(command))[0]).not.toHaveProperty('capacity')
})

test('nothing is admitted without a configuration, or for a pipeline it does not have', () => {
  const none = { instance: 'LATISS', configuration: null }
  expect(() => admission(none, { command, known: {} })).toThrow(/invariant/)
  expect(() => retryAdmission(none, { command: again, items: [item] })).toThrow(/invariant/)
  expect(() => admitted({ ...command, pipeline: 'none' })).toThrow(/unknown pipeline none/)
})

function inShort(emissions: readonly Emission[]): string[] {
  return emissions.map(one => {
    if (one.type === 'ack') return `ack ${one.body.ack} ${one.body.jobIds.join()}`
    if (one.type === 'tell') return `${one.message.type} to ${one.to}`
    return one.type === 'open' || one.type === 'watch' ? `${one.type} ${one.address}` : one.type
  })
}

type Input = Extract<Emission, { type: 'open' }>['input']

function opened<K extends Input['kind']>({ emissions }: Admission, kind: K): Extract<Input, { kind: K }>[] {
  return emissions.flatMap(one =>
    one.type === 'open' && one.input.kind === kind ? [one.input as Extract<Input, { kind: K }>] : [],
  )
}

function jobs(of: Admission) {
  return opened(of, 'job')
}

function closed({ emissions }: Admission) {
  return emissions.flatMap(one => (one.type === 'tell' && one.message.type === 'group.close' ? [one.message] : []))[0]
}
