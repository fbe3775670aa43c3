import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import type { CloseGroupCommand, ProcessDataCommand } from '../../machines/domain/commands.ts'
import type { Configuration } from '../../machines/domain/configuration.ts'
import type { Emission, Known } from '../../machines/domain/messages.ts'
import type { JobInput } from '../../machines/domain/inputs.ts'
import { inOrder } from '../../machines/domain/waitingList.ts'
import {
  aCaller,
  aConfiguration,
  aPipeline,
  breaking,
  createNight,
  given,
  transitionsNotTaken,
  type Given,
  type Night,
} from '../harness.ts'
import type { GroupResult } from '../../machines/domain/announcements.ts'
import type { Decoded } from '../../src/contract/commands.ts'
import { decodeCommand } from '../../src/contract/decode.ts'
import { broke, ended, outcome } from './endings.ts'
import { tableProblems } from './table.ts'

const caller = aCaller('m1')
const configured = (changes: Partial<Configuration> = {}) =>
  given('queue', { instance: 'LATISS' }).when({ type: 'queue.configure', configuration: aConfiguration(changes) })
const flowing = (changes: Partial<Configuration> = {}) => configured(changes).when({ type: 'queue.open' })

const processData: ProcessDataCommand = {
  type: 'command.processData',
  caller,
  jobId: 'j1',
  dataId: { instrument: 'LATISS', obsid: 'AT_O_20261122_000017', group: null },
  detectors: [],
  pipeline: 'quicklook',
  overrides: {},
  configFile: null,
  version: '',
  priority: 0,
  after: [],
  readiness: { policy: 'runNow' },
  timeLimitMs: null,
  groupRules: null,
}
const overGroup = {
  pipeline: 'stack',
  dataId: { instrument: 'LATISS', obsid: null, group: 'G' },
} as const satisfies Partial<ProcessDataCommand>

const submit = (changes: Partial<ProcessDataCommand> = {}, known: Known = {}) =>
  ({ type: 'queue.submit', command: { ...processData, ...changes }, known }) as const
const closeGroup = (changes: Partial<CloseGroupCommand> = {}, known: Known = { 'gather.G': 'open' }) =>
  ({
    type: 'queue.closeGroup',
    command: {
      type: 'command.closeGroup',
      caller,
      jobId: 'j9',
      group: 'G',
      pipeline: null,
      policy: null,
      patienceMs: null,
      ...changes,
    },
    known,
  }) as const
const pause = { type: 'queue.pause', caller } as const
const resume = { type: 'queue.resume', caller } as const

/** A job as its machine and the queue see it: counted, then ready. */
const ready = (jobId: string, { priority = 0, slots = 1 } = {}) =>
  [
    { type: 'job.opened', jobId },
    { type: 'job.ready', jobId, priority, slots },
  ] as const

const shelfItem = {
  jobId: 'old',
  retryOf: null,
  at: 0,
  dataId: { instrument: 'LATISS', obsid: 'E1', group: null, detector: null },
  pipeline: 'quicklook',
  overrides: { gone: 1 },
  configFile: 'gone.yaml',
  version: 'w_1',
  priority: 3,
  timeLimitMs: 1e9,
  outcome: 'failed',
} as const

describe('queue: who runs', () => {
  test('jobs get slots in the order they came, as many as there are', () => {
    const now = flowing().when(...ready('a'), ...ready('b'), ...ready('c'))
    expect(granted(now)).toEqual(['a', 'b'])
    expect(granted(now.when(ended('a', outcome('succeeded'))))).toEqual(['c'])
  })

  test('a higher priority goes first; among equals the older', () => {
    const held = configured({ slots: 10 }).when(
      ...ready('low', { priority: -1 }),
      ...ready('a'),
      ...ready('b'),
      ...ready('high', { priority: 9 }),
    )
    expect(granted(held.when({ type: 'queue.open' }))).toEqual(['high', 'a', 'b', 'low'])
  })

  test('newestFirst takes the newest of the highest priority', () => {
    const held = configured({ slots: 10, order: 'newestFirst' }).when(
      ...ready('a'),
      ...ready('b'),
      ...ready('high', { priority: 1 }),
      ...ready('c'),
    )
    expect(granted(held.when({ type: 'queue.open' }))).toEqual(['high', 'c', 'b', 'a'])
  })

  test('a large job at the head holds back the small ones behind it until it fits', () => {
    const now = flowing().when(...ready('small'), ...ready('large', { slots: 2 }), ...ready('behind'))
    expect(granted(now)).toEqual(['small'])
    const next = now.when(ended('small', outcome('succeeded')))
    expect(granted(next)).toEqual(['large'])
    expect(next.context.slotsTaken).toBe(2)
    expect(granted(next.when(ended('large', outcome('failed'))))).toEqual(['behind'])
  })

  test('a job that backs off frees its slot and still counts as open', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'), { type: 'job.yielded', jobId: 'a' })
    expect(granted(now)).toEqual(['a', 'b'])
    expect(now.context).toMatchObject({ open: 2, slotsTaken: 1 })
  })

  test('a job that ended while it waited waits no more', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'), ...ready('c'), ended('b', outcome('aborted')))
    expect(waiting(now)).toEqual(['c'])
    expect(now.context.open).toBe(2)
  })

  test('with prefetch so many more slots are granted in advance, in the same order, and pause holds what was not', () => {
    const now = flowing({ slots: 2, prefetch: 1 }).when(...ready('a'), ...ready('b'), ...ready('c'), ...ready('d'))
    expect(granted(now)).toEqual(['a', 'b', 'c'])
    expect(now.context.slotsTaken).toBe(3)
    const next = now.when({ type: 'job.yielded', jobId: 'a' })
    expect(granted(next)).toEqual(['d'])
    expect(granted(now.when(pause, { type: 'job.yielded', jobId: 'a' }))).toEqual([])
  })

  test('a job that does not fit what is left of slots and prefetch holds back those behind it', () => {
    const now = flowing({ slots: 2, prefetch: 1 }).when(
      ...ready('a'),
      ...ready('b'),
      ...ready('large', { slots: 2 }),
      ...ready('c'),
    )
    expect(granted(now)).toEqual(['a', 'b'])
    expect(granted(now.when({ type: 'job.yielded', jobId: 'a' }))).toEqual(['large'])
  })

  test('a job is never larger than the slots: prefetch does not let it through to where it could not begin', () => {
    expect(granted(flowing({ slots: 2, prefetch: 8 }).when(...ready('large', { slots: 3 })))).toEqual([])
  })

  test('a configuration of a journal older than prefetch grants nothing in advance', () => {
    expect(aConfiguration()).not.toHaveProperty('prefetch')
    expect(granted(flowing({ slots: 1 }).when(...ready('a'), ...ready('b')))).toEqual(['a'])
  })

  test('a new configuration with more slots lets more run', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'))
    expect(granted(now.when({ type: 'queue.configure', configuration: aConfiguration({ slots: 2 }) }))).toEqual(['b'])
  })

  test('a broken job is said to have failed INTERNAL, and no process of it may stay behind', () => {
    const context = given('job', jobInput('a')).context
    const now = flowing().when(...ready('a'), broke('a', context))
    expect(now.emissions).toContainEqual({ type: 'executor.stop', jobId: 'a', attempt: 1, graceMs: 0 })
    expect(now.emissions).toContainEqual(
      expect.objectContaining({ topic: 'jobResult', key: 'a', body: expect.objectContaining({ jobId: 'a' }) }),
    )
    expect(now.context).toMatchObject({ open: 0, slotsTaken: 0 })
  })

  test('a broken group is said to have failed, naming its members; one that was forgotten has said its result', () => {
    const { context } = given('gather', {
      instance: 'LATISS',
      group: 'G#1',
      stem: 's',
      rules: null,
      configuration: aConfiguration(),
    })
    const broken = { type: 'actor.ended', address: 'gather.G=231', end: { how: 'broken', context } } as const
    expect(flowing().when(broken).emissions).toMatchObject([
      { type: 'event', topic: 'groupResult', key: 'G#1', body: { outcome: 'failed', members: [] } },
    ])
    const answered = { ...context, revision: 1, result: { revision: 1 } as GroupResult }
    expect(flowing().when({ ...broken, end: { how: 'broken', context: answered } }).emissions).toEqual([])
    const forgotten = { ...broken, end: { how: 'done', output: undefined } } as const
    expect(flowing().when(forgotten).emissions).toEqual([])
  })

  test('a job that broke while it waited has no process to stop', () => {
    const now = configured().when(...ready('a'), broke('a', given('job', jobInput('a')).context))
    expect(now.emissions.map(({ type }) => type)).toEqual(['watch', 'event'])
  })
})

describe('queue: pools', () => {
  const pools = { heavy: { slots: 2, runner: { kind: 'none' } } } as const
  const inHeavy = (jobId: string, { priority = 0, slots = 1 } = {}) =>
    [
      { type: 'job.opened', jobId },
      { type: 'job.ready', jobId, priority, slots, pool: 'heavy' },
    ] as const

  test('each pool has slots of its own', () => {
    const now = flowing({ slots: 1, pools }).when(
      ...ready('a'),
      ...ready('b'),
      ...inHeavy('h1'),
      ...inHeavy('h2'),
      ...inHeavy('h3'),
    )
    expect(granted(now)).toEqual(['a', 'h1', 'h2'])
    expect(granted(now.when(ended('h1', outcome('succeeded'))))).toEqual(['h3'])
    expect(granted(now.when(ended('a', outcome('succeeded'))))).toEqual(['b'])
  })

  test('a large job at the head of one pool holds up no job of another', () => {
    const now = flowing({ slots: 1, pools }).when(...inHeavy('h1'), ...inHeavy('large', { slots: 2 }), ...inHeavy('h3'))
    expect(granted(now)).toEqual(['h1'])
    const other = now.when(...ready('a'))
    expect(granted(other)).toEqual(['a'])
    expect(granted(other.when(ended('h1', outcome('succeeded'))))).toEqual(['large'])
  })

  test('priority and order count within a pool', () => {
    const held = configured({ slots: 1, pools, order: 'newestFirst' }).when(
      ...ready('low', { priority: -1 }),
      ...inHeavy('h1'),
      ...inHeavy('h2'),
      ...inHeavy('first', { priority: 3 }),
    )
    expect(granted(held.when({ type: 'queue.open' }))).toEqual(['low', 'first', 'h2'])
  })

  test('a job that falls back on a pipeline of another pool frees its slots and waits there', () => {
    const now = flowing({ slots: 1, pools }).when(...ready('a'), ...ready('b'))
    const yielded = now.when(
      { type: 'job.yielded', jobId: 'a' },
      { type: 'job.ready', jobId: 'a', priority: 0, slots: 1, pool: 'heavy' },
    )
    expect(granted(yielded)).toEqual(['b', 'a'])
    expect(yielded.context).toMatchObject({ slotsTaken: 1, pools: { heavy: { slotsTaken: 1 } }, open: 2 })
  })

  test('a job that ends while it waits is taken off the list of its pool, and one aborts with all others', () => {
    const now = flowing({ slots: 1, pools }).when(...inHeavy('h1', { slots: 2 }), ...inHeavy('h2'), ...inHeavy('h3'))
    const without = now.when(ended('h2', outcome('aborted')), ended('h1', outcome('succeeded')))
    expect(granted(without)).toEqual(['h3'])
    const cleared = now.when({ type: 'queue.clear', reason: 'the end' }, ended('h1', outcome('aborted')))
    expect(granted(cleared)).toEqual([])
    expect(cleared.context).toMatchObject({ pools: { heavy: { waiting: { size: 0 }, slotsTaken: 0 } } })
  })

  test('the depth bounds what waits in all pools together', () => {
    const now = flowing({ slots: 1, pools, queueDepthMax: 2 }).when(
      ...ready('a'),
      ...ready('b'),
      ...inHeavy('h1', { slots: 2 }),
      ...inHeavy('h2'),
    )
    expect(now.when(submit()).emissions).toContainEqual(
      expect.objectContaining({ body: expect.objectContaining({ code: 'QUEUE_FULL' }) as unknown }),
    )
    expect(now.when(ended('h2', outcome('aborted')), submit()).emissions).toContainEqual(
      expect.objectContaining({ type: 'open' }),
    )
  })
})

describe('queue: open, closed, paused', () => {
  test('a closed queue takes jobs in and lets none run', () => {
    const now = configured().when(...ready('a'))
    expect(granted(now)).toEqual([])
    expect(waiting(now)).toEqual(['a'])
    expect(granted(now.when({ type: 'queue.open' }))).toEqual(['a'])
  })

  test('closing lets running jobs go on and holds the queued ones', () => {
    const now = flowing({ slots: 1 }).when(...ready('a'), ...ready('b'), { type: 'queue.close' })
    expect(now.context.running).toEqual({ a: 1 })
    expect(granted(now.when(ended('a', outcome('succeeded'))))).toEqual([])
    expect(waiting(now)).toEqual(['b'])
  })

  test('a paused queue lets none run until it is resumed; both are acknowledged', () => {
    const paused = flowing().when(pause)
    expect(paused.state).toBe('open.paused')
    expect(acks(paused)).toMatchObject([{ ack: ACK.COMPLETE }])
    const held = paused.when(...ready('a'))
    expect(granted(held)).toEqual([])
    const again = held.when(resume)
    expect(granted(again)).toEqual(['a'])
    expect(acks(again)).toMatchObject([{ ack: ACK.COMPLETE }])
  })

  test('pausing twice and resuming twice is acknowledged and changes nothing', () => {
    expect(acks(flowing().when(pause, pause))).toHaveLength(2)
    expect(acks(flowing().when(resume))).toMatchObject([{ ack: ACK.COMPLETE }])
    expect(flowing().when(pause, pause).state).toBe('open.paused')
  })

  test('a paused queue that is closed and opened again is still paused', () => {
    expect(flowing().when(pause, { type: 'queue.close' }, { type: 'queue.open' }).state).toBe('open.paused')
    expect(flowing().when({ type: 'queue.close' }, { type: 'queue.open' }).state).toBe('open.flowing')
  })

  test('clearing leaves nobody waiting, and tells every group and every job to stop, groups first', () => {
    const now = flowing({ slots: 1 })
      .when(...ready('a'), ...ready('b'))
      .when({ type: 'queue.clear', reason: 'STANDBY' })
    expect(waiting(now)).toEqual([])
    expect(now.emissions).toEqual([
      { type: 'tell', to: 'gather.*', message: { type: 'group.abandon', reason: 'STANDBY' } },
      { type: 'tell', to: 'job.*', message: { type: 'job.abort', reason: 'STANDBY', caller: null } },
    ])
  })
})

describe('queue: what is admitted', () => {
  test('a command over a whole exposure makes one job with the id of the command', () => {
    const now = flowing().when(submit())
    expect(acks(now)).toMatchObject([{ ack: ACK.COMPLETE, jobIds: ['j1'] }])
    expect(opened(now)).toMatchObject([{ jobId: 'j1', dataId: { detector: null }, timeLimitMs: 60_000 }])
    expect(now.emissions).toContainEqual({ type: 'watch', address: 'job.j1' })
    expect(now.context.open).toBe(1)
  })

  test('a list of detectors makes one job for each, in that order', () => {
    const now = flowing().when(submit({ pipeline: 'detect', detectors: [94, 3] }))
    expect(acks(now)).toMatchObject([{ jobIds: ['j1-94', 'j1-3'] }])
    expect(opened(now)).toMatchObject([{ dataId: { detector: 94 } }, { dataId: { detector: 3 } }])
    expect(now.context.open).toBe(2)
  })

  test('an exposure of a group opens the group and makes its jobs members', () => {
    const now = flowing().when(submit({ dataId: { ...processData.dataId, group: 'G#1' } }))
    expect(now.emissions.map(({ type }) => type)).toEqual(['ack', 'open', 'watch', 'open', 'watch', 'tell'])
    expect(now.emissions[1]).toMatchObject({
      address: 'gather.G=231',
      input: { kind: 'gather', group: 'G#1', stem: 'j1' },
    })
    expect(now.emissions[5]).toMatchObject({ to: 'gather.G=231', message: { type: 'member.accepted', jobId: 'j1' } })
  })

  test('closing a group, by closeGroup or by processData over it, is passed to the group, which answers', () => {
    const byName = flowing().when(closeGroup({ pipeline: 'stack', policy: 'skip', patienceMs: 5 }))
    expect(byName.emissions).toMatchObject([
      {
        to: 'gather.G',
        message: {
          type: 'group.close',
          answerTo: null,
          pipeline: 'stack',
          policy: 'skip',
          patienceMs: 5,
          options: null,
        },
      },
    ])
    const groupRules = { expected: null, deadlineMs: null, policy: 'fail', patienceMs: 7, pipeline: null } as const
    const byData = flowing().when(submit({ ...overGroup, version: 'w_1', groupRules }, { 'gather.G': 'open' }))
    expect(byData.emissions).toMatchObject([
      {
        message: { type: 'group.close', pipeline: 'stack', policy: 'fail', patienceMs: 7, options: { version: 'w_1' } },
      },
    ])
    expect(byData.context.open).toBe(0)
  })

  test('a group nobody knows yet is opened by who names its exposures, and told which they are', () => {
    const dataId = { instrument: 'LSSTCam', obsid: null, group: 'G' }
    const rules = { expected: 3, deadlineMs: null, policy: null, patienceMs: null, pipeline: null }
    const named = submit(
      { ...overGroup, dataId, detectors: [94], members: ['E1', 'E2'], groupRules: rules },
      { 'gather.G': 'unknown' },
    )
    expect(flowing().when(named).emissions).toMatchObject([
      { type: 'open', address: 'gather.G', input: { kind: 'gather', group: 'G', stem: 'j1' } },
      { type: 'watch', address: 'gather.G' },
      {
        to: 'gather.G',
        message: {
          type: 'group.close',
          expected: 3,
          detector: 94,
          members: ['E1', 'E2'].map(obsid => ({ instrument: 'LSSTCam', group: 'G', obsid, detector: 94 })),
        },
      },
    ])
  })

  test('a group hears which job a retry stands for', () => {
    const command = { type: 'command.retry', caller, jobId: 'again', of: { by: 'group', group: 'G' } } as const
    const items = [{ ...shelfItem, jobId: 'r1', retryOf: 'first', dataId: { ...shelfItem.dataId, group: 'G' } }]
    const full = { ...command, pipeline: 'detect', overrides: null, version: null }
    const now = flowing().when({ type: 'queue.resubmit', command: full, items })
    expect(now.emissions).toContainEqual(
      expect.objectContaining({
        to: 'gather.G',
        message: expect.objectContaining({ type: 'member.accepted', pipeline: 'detect', retryOf: 'first' }),
      }),
    )
  })

  const strict = aPipeline('quicklook', {
    overrides: {
      snr: { type: 'number', default: null, minimum: 3, maximum: 50 },
      mode: { type: 'string', default: null, minimum: null, maximum: null },
    },
    configFiles: ['fast.yaml'],
  })
  const withStrict = { pipelines: { ...aConfiguration().pipelines, quicklook: strict } }

  test.each([
    ['an unknown pipeline', submit({ pipeline: 'none' }), 'UNKNOWN_PIPELINE', 'none'],
    ['a name every object has', submit({ pipeline: 'constructor' }), 'UNKNOWN_PIPELINE', 'constructor'],
    ['a group pipeline over an exposure', submit({ pipeline: 'stack' }), 'WRONG_SCOPE', 'stack'],
    ['an exposure pipeline over a group', submit({ ...overGroup, pipeline: 'quicklook' }), 'WRONG_SCOPE', 'quicklook'],
    ['an override that is not allowed', submit({ overrides: { x: 1 } }), 'OVERRIDE_NOT_ALLOWED', 'x=1'],
    ['an override every object has', submit({ overrides: { toString: 1 } }), 'OVERRIDE_NOT_ALLOWED', 'toString'],
    ['an override of the wrong type', submit({ overrides: { snr: 'a' } }), 'OVERRIDE_NOT_ALLOWED', 'number'],
    ['an override too small', submit({ overrides: { snr: 2 } }), 'OVERRIDE_NOT_ALLOWED', 'at least 3'],
    ['an override too large', submit({ overrides: { snr: 51 } }), 'OVERRIDE_NOT_ALLOWED', 'at most 50'],
    ['a configuration file not listed', submit({ configFile: 'x.yaml' }), 'OVERRIDE_NOT_ALLOWED', 'x.yaml'],
    ['a longer time limit', submit({ timeLimitMs: 61_000 }), 'OVERRIDE_NOT_ALLOWED', '60 s'],
    [
      'an unknown pipeline in the rules of its group',
      submit({ groupRules: { expected: 2, deadlineMs: null, policy: null, patienceMs: null, pipeline: 'none' } }),
      'UNKNOWN_PIPELINE',
      'none',
    ],
    [
      'a prerequisite nobody knows',
      submit({ after: [{ jobId: 'x', requires: 'success' }] }, { 'job.x': 'unknown' }),
      'UNKNOWN_JOB',
      'x',
    ],
    ['a group nobody knows', submit(overGroup, { 'gather.G': 'unknown' }), 'UNKNOWN_GROUP', 'G'],
    ['the end of a group nobody knows', closeGroup({}, { 'gather.G': 'ended' }), 'UNKNOWN_GROUP', 'G'],
    ['the end of a group with an unknown pipeline', closeGroup({ pipeline: 'x' }), 'UNKNOWN_PIPELINE', 'x'],
    ['the end of a group with an exposure pipeline', closeGroup({ pipeline: 'detect' }), 'WRONG_SCOPE', 'detect'],
  ] as const)('%s is refused, and nothing is opened', (_, message, code, named) => {
    const before = flowing(withStrict)
    const now = before.when(message)
    expect(now.emissions).toHaveLength(1)
    const [ack] = acks(now)
    expect(ack).toMatchObject({ ack: ACK.FAILED, error: 1, code })
    expect(ack?.result).toContain(named)
    expect(now.context).toBe(before.context)
  })

  test('allowed overrides, a listed configuration file and a shorter time limit reach the job', () => {
    const options = { overrides: { snr: 5, mode: 'fast' }, configFile: 'fast.yaml', timeLimitMs: 1_000 }
    expect(opened(flowing(withStrict).when(submit(options)))).toMatchObject([options])
  })

  test('a prerequisite that is open or has ended is admitted', () => {
    const after = [{ jobId: 'x', requires: 'success' }] as const
    for (const known of ['open', 'ended'] as const)
      expect(opened(flowing().when(submit({ after }, { 'job.x': known })))).toMatchObject([{ after }])
  })

  test('a full queue refuses; running jobs do not count as waiting', () => {
    const full = flowing({ slots: 1, queueDepthMax: 2 }).when(...ready('a'), ...ready('b'), ...ready('c'))
    expect(acks(full.when(submit()))).toMatchObject([{ code: 'QUEUE_FULL' }])
    const room = full.when(ended('a', outcome('succeeded')))
    expect(acks(room.when(submit()))).toMatchObject([{ ack: ACK.COMPLETE }])
    expect(acks(room.when(submit({ pipeline: 'detect', detectors: [1, 2] })))).toMatchObject([{ code: 'QUEUE_FULL' }])
  })

  test('what the queue can never hold is refused as that, however few are waiting', () => {
    const camera = { pipeline: 'detect', detectors: Array.from({ length: 189 }, (_, detector) => detector) }
    const [never] = acks(flowing({ slots: 4, queueDepthMax: 100 }).when(submit(camera)))
    expect(never).toMatchObject({ code: 'QUEUE_FULL' })
    expect(never?.result).toContain('asks for 189 jobs and the queue never holds more than 100')
    const occupied = flowing({ slots: 1, queueDepthMax: 189 }).when(...ready('a'), ...ready('b'))
    const [later] = acks(occupied.when(submit(camera)))
    expect(later?.result).toContain('1 job is waiting and the queue holds 189, so these 189 do not fit; send it again')
  })

  test('a group can be closed although the queue is full', () => {
    const full = flowing({ slots: 1, queueDepthMax: 1 }).when(...ready('a'), ...ready('b'))
    expect(acks(full.when(closeGroup()))).toEqual([])
  })

  test('a gather job counts like any other', () => {
    const now = flowing().when({ type: 'job.opened', jobId: 'g1' })
    expect(now.context.open).toBe(1)
    expect(now.emissions).toEqual([{ type: 'watch', address: 'job.g1' }])
  })
})

describe('queue: synchronous mode', () => {
  const sync = flowing({ mode: 'sync' })

  test('a command in hand is answered by its reply, and the next is refused BUSY until then', () => {
    const inHand = sync.when(submit({ pipeline: 'detect', detectors: [1, 2] }))
    expect(acks(inHand)).toEqual([])
    expect(inHand.emissions[0]).toMatchObject({
      type: 'open',
      address: 'reply.m1',
      input: { kind: 'reply', caller, jobIds: ['j1-1', 'j1-2'], ackTimeoutMs: 60_000 },
    })
    expect(inHand.emissions.slice(-2)).toEqual([
      { type: 'tell', to: 'reply.m1', message: { type: 'reply.await', address: 'job.j1-1' } },
      { type: 'tell', to: 'reply.m1', message: { type: 'reply.await', address: 'job.j1-2' } },
    ])
    expect(acks(inHand.when(submit({ caller: aCaller('m2') })))).toMatchObject([{ code: 'BUSY' }])
    expect(acks(inHand.when(closeGroup()))).toMatchObject([{ code: 'BUSY' }])
    const free = inHand.when({ type: 'actor.ended', address: 'reply.m1', end: { how: 'done', output: undefined } })
    expect(free.context.inHand).toBeNull()
    expect(opened(free.when(submit()))).toHaveLength(1)
  })

  test('the end of another reply does not free the hand', () => {
    const other = { type: 'actor.ended', address: 'reply.m0', end: { how: 'done', output: undefined } } as const
    expect(sync.when(submit(), other).context.inHand).toBe('reply.m1')
  })

  test('closing a group is answered by the group through a reply', () => {
    const now = sync.when(closeGroup())
    expect(now.emissions).toMatchObject([
      { type: 'open', address: 'reply.m1' },
      { type: 'watch', address: 'reply.m1' },
      { type: 'tell', to: 'reply.m1', message: { type: 'reply.await', address: 'gather.G' } },
      { type: 'tell', to: 'gather.G', message: { type: 'group.close', answerTo: 'reply.m1' } },
    ])
  })

  test('a whole command: INPROGRESS, renewed, then the final acknowledgement when its jobs have ended', async () => {
    const night = await createNight({ configuration: aConfiguration({ mode: 'sync' }) })
    await night.enable()
    const first = await night.command('processData', asked({ detector: [1, 2] }, 'detect'), { id: 'p' })
    expect(first).toMatchObject({ ack: ACK.INPROGRESS, timeout: 60 })
    const [one = '', two = ''] = first?.jobIds ?? []
    expect(await night.command('processData', asked(), { id: 'q' })).toMatchObject({ code: 'BUSY' })
    await night.advance(31_000)
    expect(night.acks('p').map(({ ack }) => ack)).toEqual([ACK.INPROGRESS, ACK.INPROGRESS])
    await night.succeeds(one)
    await night.started(two)
    await night.exited(two, { exitCode: 1 })
    expect(night.acks('p').at(-1)).toMatchObject({ ack: ACK.FAILED, code: 'EXIT_CODE', jobIds: [one, two] })
    expect(await night.command('processData', asked(), { id: 'r' })).toMatchObject({ ack: ACK.INPROGRESS })
  })
})

describe('queue: a machine breaks', () => {
  test('its job says INTERNAL exactly once, its process is stopped, and the CSC is in FAULT with code 3', async () => {
    await breakIn(await createNight())
  })

  test('so it is in a pool of its own, whose slots are free again', async () => {
    const pool = { name: 'heavy', slots: 1, runner: { kind: 'none' } } as const
    const night = await createNight({
      configuration: aConfiguration({
        pools: { heavy: pool },
        pipelines: { quicklook: aPipeline('quicklook', { pool }) },
      }),
    })
    await breakIn(night)
    const context = night.engine().world.actor('queue')?.snapshot.context
    expect(context).toMatchObject({ slotsTaken: 0, pools: { heavy: { slotsTaken: 0, running: {} } }, open: 0 })
  })

  async function breakIn(night: Night): Promise<void> {
    await night.enable()
    const jobId = (await night.command('processData', asked()))?.jobIds[0] ?? ''
    await night.started(jobId)
    await night.report(breaking(jobId))
    expect(night.state('csc')).toBe('fault')
    expect(night.events('errorCode').at(-1)).toMatchObject({ errorCode: 3 })
    expect(night.events('jobResult', jobId)).toMatchObject([{ outcome: { kind: 'failed', code: 'INTERNAL' } }])
    expect(night.orders().at(-1)).toMatchObject({ type: 'executor.stop', jobId })
    await night.exited(jobId)
    expect(night.events('jobResult', jobId)).toHaveLength(1)
    expect(night.lost()).toEqual([])
  }
})

describe('queue: many slots', () => {
  test('resumed with more waiting jobs than a thousand and slots for all, it starts all', async () => {
    const night = await createNight({ configuration: aConfiguration({ slots: 2_000, queueDepthMax: 5_000 }) })
    await night.enable()
    await night.command('pause')
    for (let at = 0; at < 1_500; at++) night.send('processData', asked({ obsid: `E${at}` }))
    await night.settled()
    await night.command('resume')
    expect(night.state('csc')).toBe('enabled')
    expect(night.orders().filter(({ type }) => type === 'executor.start')).toHaveLength(1_500)
  })
})

describe('queue: a machine breaks when it is opened', () => {
  test('the job says INTERNAL all the same, its command is answered, and what comes after is processed', async () => {
    const night = await createNight()
    await night.enable()
    const decoded = decodeCommand('processData', Buffer.from(JSON.stringify(asked())), 'LATISS')
    if (!decoded.ok) throw new Error(decoded.refusal.reason)
    // No client gets this past the door; a defect would be of the kind.
    const command = { ...decoded.command, readiness: null } as unknown as Decoded
    night.engine().command(command, { identity: 'script', id: 'bad', reply: null })
    await night.settled()
    const [jobId = ''] = night.acks('bad')[0]?.jobIds ?? []
    expect(night.events('jobResult', jobId)).toMatchObject([{ outcome: { kind: 'failed', code: 'INTERNAL' } }])
    expect(night.events('errorCode').at(-1)).toMatchObject({ errorCode: 3 })
    expect(night.engine().world.actor('queue')?.snapshot.context).toMatchObject({ open: 0, slotsTaken: 0 })
    expect(night.lost()).toEqual([])
  })
})

describe('queue: files', () => {
  test('a pipeline that has a file and is not applied is refused saying so', () => {
    const now = flowing().when({ type: 'queue.files', pipelineFiles: ['quicklook', 'fresh'] })
    expect(acks(now.when(submit({ pipeline: 'fresh' })))).toMatchObject([
      {
        code: 'UNKNOWN_PIPELINE',
        result: expect.stringContaining('pipelines/fresh.yaml is there and not applied yet') as unknown,
      },
    ])
    expect(acks(now.when(submit({ pipeline: 'none' })))[0]?.result).toContain('there is no pipeline none')
  })
})

describe('queue: chart and comment', () => {
  test('jobs from the shelf are opened again under new ids, or refused as any command would be', () => {
    const item = shelfItem
    const command = {
      type: 'command.retry',
      caller,
      jobId: 'again',
      of: { by: 'jobId', jobId: 'old' },
      pipeline: null,
      overrides: null,
      version: null,
    } as const
    const admitted = flowing().when({ type: 'queue.resubmit', command, items: [item] })
    expect(opened(admitted)).toMatchObject([
      { jobId: 'again-r1', retryOf: 'old', overrides: {}, configFile: null, version: 'w_1', priority: 3 },
    ])
    expect(opened(admitted)[0]?.timeLimitMs).toBe(opened(admitted)[0]?.pipeline.timeLimitMs)
    expect(acks(admitted)).toMatchObject([{ ack: ACK.COMPLETE, jobIds: ['again-r1'] }])
    expect(admitted.context.open).toBe(1)

    const of = (group: string) => ({ ...item, dataId: { ...item.dataId, group } })
    const several = flowing().when({ type: 'queue.resubmit', command, items: [of('G1'), of('G2'), of('G1')] })
    const stems = several.emissions.flatMap(one =>
      one.type === 'open' && one.input.kind === 'gather' ? [one.input.stem] : [],
    )
    expect(stems, 'each group opened again has gather jobs of its own').toEqual(['again-r1', 'again-r2'])

    const refusal = flowing({ pipelines: {} }).when({ type: 'queue.resubmit', command, items: [item] })
    expect(acks(refusal)).toMatchObject([{ ack: ACK.FAILED, code: 'UNKNOWN_PIPELINE' }])
  })

  test('the table that opens the file names the states and events of the chart', () => {
    expect(tableProblems('queue')).toEqual([])
  })

  test('every transition of the chart is taken by the tests above', () => {
    expect(transitionsNotTaken('queue')).toEqual([])
  })
})

function asked(dataId: object = {}, pipeline = 'quicklook') {
  return { dataId: { obsid: 'AT_O_20261122_000017', ...dataId }, pipeline }
}

function jobInput(jobId: string): Omit<JobInput, 'kind'> {
  const [input] = opened(flowing().when(submit({ jobId })))
  if (!input) throw new Error('no job was opened')
  return input
}

function granted({ emissions }: Given<'queue'>): string[] {
  return emissions.flatMap(one =>
    one.type === 'tell' && one.message.type === 'slot.granted' ? [one.to.slice('job.'.length)] : [],
  )
}

function waiting({ context }: Given<'queue'>): string[] {
  return inOrder(context.waiting, 'fifo').map(({ jobId }) => jobId)
}

function opened({ emissions }: Given<'queue'>): JobInput[] {
  const inputs = emissions.flatMap((one: Emission) => (one.type === 'open' ? [one.input] : []))
  return inputs.filter(input => input.kind === 'job')
}

function acks({ emissions }: Given<'queue'>) {
  return emissions.flatMap(one => (one.type === 'ack' ? [one.body] : []))
}
