import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import type { CloseGroupCommand, ProcessDataCommand } from '../../machines/domain/commands.ts'
import type { Known } from '../../machines/domain/messages.ts'
import { aCaller, aConfiguration, aPipeline } from '../harness.ts'
import { createNight } from '../night.ts'
import { ended, outcome } from './endings.ts'
import { acks, asked, caller, flowing, opened, processData, ready, shelfItem, submit } from './queueGiven.ts'

const overGroup = {
  pipeline: 'stack',
  dataId: { instrument: 'LATISS', obsid: null, group: 'G' },
} as const satisfies Partial<ProcessDataCommand>

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
