import { describe, expect, test } from 'vitest'
import { ACK } from '../../machines/domain/announcements.ts'
import type { GroupRules } from '../../machines/domain/groupRules.ts'
import { aConfiguration } from '../harness.ts'
import { ended, outcome } from './endings.ts'
import {
  G1,
  acks,
  bad,
  close,
  dataIdOf,
  finishes,
  gathered,
  good,
  group,
  jobsOf,
  member,
  resultsOf,
  stacking,
  two,
} from './gatherGiven.ts'

const abandon = { type: 'group.abandon', reason: 'the CSC went to STANDBY' } as const

describe('gather: what was promised', () => {
  const promised = (policy: GroupRules['policy'], pipeline: string | null = 'stack') =>
    group({ expected: 4, deadlineMs: 9_000, policy, pipeline }).when(member('a', 'E1'), good('a')).after('deadline')

  test('one of four expected is partial, and the result says how many never came', () => {
    expect(resultsOf(promised('partial').when(good(G1)))).toMatchObject([
      {
        outcome: 'partial',
        closedBy: 'deadline',
        missing: [],
        missingCount: 3,
        message: 'stack combined 1 members; 3 of 4 expected never came',
      },
    ])
    expect(resultsOf(promised('partial', null))).toMatchObject([{ outcome: 'partial', missingCount: 3 }])
  })

  test.each([
    ['fail', 'failed'],
    ['skip', 'skipped'],
  ] as const)('one of four expected under policy %s is %s, and nothing is combined', (policy, kind) => {
    const now = promised(policy)
    expect(jobsOf(now)).toEqual([])
    expect(resultsOf(now)).toMatchObject([
      {
        outcome: kind,
        missingCount: 3,
        jobId: null,
        message: `nothing was combined: 3 of 4 expected never came and the policy is ${policy}`,
      },
    ])
  })

  test('who closes a group before all expected are in makes it no more complete', () => {
    const now = group({ expected: 3 }).when(member('a', 'E1'), member('b', 'E2'), good('a'))
    expect(resultsOf(now.when(close()).after('patience'))).toMatchObject([
      { outcome: 'partial', missing: ['E2'], missingCount: 2 },
    ])
    expect(resultsOf(two.when(good('a'), good('b'), close({ expected: 3 })))).toMatchObject([
      { outcome: 'partial', missingCount: 1 },
    ])
  })

  test('a group of which nothing came says so', () => {
    const now = group({ expected: 2 }).when(member('a', 'E1'), bad('a'), close())
    expect(resultsOf(now)).toMatchObject([
      { outcome: 'failed', message: 'nothing was combined: no member succeeded, and 1 of 2 expected never came' },
    ])
  })

  test('the exposure that was missing makes the group complete in revision 2', () => {
    const late = promised('fail').when(...['E2', 'E3', 'E4'].map(name => member(name, name)))
    expect(resultsOf(late.when(good('E2'), good('E3'), good('E4'), good('20261122-000004-g2')))).toMatchObject([
      { revision: 2, outcome: 'complete' },
    ])
  })

  test('a pipeline that says it used fewer frames makes the group partial, and the sentence says so', () => {
    const used = (value: number) => [
      { metric: 'stack.framesUsed', value: 2, unit: '' },
      { metric: 'stack.framesUsed', value, unit: '' },
    ]
    expect(resultsOf(stacking.when(good(G1, { metrics: used(1) })))).toMatchObject([
      { outcome: 'partial', message: 'stack used 1 of 2 members', failed: [], missing: [] },
    ])
    expect(resultsOf(stacking.when(good(G1, { metrics: used(2) })))).toMatchObject([
      { outcome: 'complete', message: 'stack combined 2 members' },
    ])
  })

  test('an exposure processed by two pipelines is one frame', () => {
    const both = group({ pipeline: 'stack' }).when(member('a', 'E1'), { ...member('b', 'E1'), pipeline: 'detect' })
    const metrics = [{ metric: 'stack.framesUsed', value: 1, unit: '' }]
    expect(resultsOf(both.when(good('a'), good('b'), close(), good(G1, { metrics })))).toMatchObject([
      { outcome: 'complete' },
    ])
  })

  test('a failed member that comes again while the group gathers makes this revision no more complete', () => {
    const first = two.when(good('a'), bad('b'), close({ pipeline: 'stack' }), member('b2', 'E2'), good('b2'), good(G1))
    expect(resultsOf(first)).toMatchObject([
      { revision: 1, outcome: 'partial', failed: ['E2'], message: 'stack combined 1 members' },
    ])
  })
})

describe('gather: a group alone is a dataId', () => {
  test('exposures that were never processed are combined as they are', () => {
    const now = group().when(close({ pipeline: 'stack', members: [dataIdOf('E1'), dataIdOf('E2')] }))
    expect(jobsOf(now)).toMatchObject([
      {
        members: ['E1', 'E2'].map(obsid => ({
          dataId: { obsid },
          jobId: null,
          pipeline: null,
          outcome: null,
          datasets: [],
        })),
      },
    ])
    expect(resultsOf(now.when(good(G1)))).toMatchObject([
      { outcome: 'complete', members: [{ identity: 'E1', jobId: null, outcome: null }, { identity: 'E2' }] },
    ])
  })

  test('one that was accepted is awaited, not combined as it is', () => {
    const now = group().when(member('a', 'E1'), close({ pipeline: 'stack', members: [dataIdOf('E1'), dataIdOf('E2')] }))
    expect(now.state).toBe('closing')
    expect(jobsOf(now.when(good('a')))).toMatchObject([{ members: [{ jobId: 'a' }, { jobId: null }] }])
  })

  test('one that is processed later takes the place of what was only named', () => {
    const first = group().when(close({ pipeline: 'stack', members: [dataIdOf('E1'), dataIdOf('E2')] }), good(G1))
    expect(jobsOf(first.when(member('b', 'E1'), good('b')))).toMatchObject([
      { members: [{ jobId: 'b' }, { jobId: null }] },
    ])
  })

  test('a finished group is combined again with exposures it did not know, and not for those it did', () => {
    const named = (obsid: string) => close({ members: [dataIdOf(obsid)] })
    expect(jobsOf(gathered.when(named('E3')))).toMatchObject([{ members: [{}, {}, { dataId: { obsid: 'E3' } }] }])
    expect(acks(gathered.when(named('E2')))).toMatchObject([{ code: 'GROUP_CLOSED' }])
  })

  const detectors = group({ pipeline: 'stack' }).when(
    member('a0', 'E1', 0),
    member('a1', 'E1', 1),
    member('b0', 'E2', 0),
    member('b1', 'E2', 1),
  )

  test('one detector of a group awaits, combines and reports its own members alone', () => {
    const now = detectors.when(bad('a1'), good('a0'), close({ detector: 0 }))
    expect(now.state).toBe('closing')
    const gathering = now.when(good('b0'))
    expect(jobsOf(gathering)).toMatchObject([
      { dataId: { group: 'G#1', detector: 0 }, members: [{ jobId: 'a0' }, { jobId: 'b0' }] },
    ])
    expect(resultsOf(gathering.when(good(G1)))).toMatchObject([
      { detector: 0, outcome: 'complete', failed: [], missing: [], members: [{ jobId: 'a0' }, { jobId: 'b0' }] },
    ])
  })

  test('the next detector, and then the whole, are further revisions', () => {
    const first = detectors.when(good('a0'), good('b0'), close({ detector: 0 }), good(G1), good('a1'), bad('b1'))
    expect(first.state).toBe('gathered')
    const second = first.when(close({ detector: 1 }), good('20261122-000004-g2'))
    expect(resultsOf(second)).toMatchObject([{ revision: 2, detector: 1, outcome: 'partial', failed: ['E2/1'] }])
    const whole = second.when(close())
    expect(jobsOf(whole)).toMatchObject([{ dataId: { detector: null }, members: [{}, {}, {}] }])
    expect(resultsOf(whole.when(good('20261122-000004-g3')))[0]).not.toHaveProperty('detector')
  })

  test('a late member is late for its own detector', () => {
    const first = detectors.when(good('a0'), good('b0'), close({ detector: 0 }), good(G1))
    expect(first.when(member('c1', 'E3', 1)).state).toBe('gathered')
    expect(first.when(member('c0', 'E3', 0)).state).toBe('closing')
  })

  test('a detector nobody knows is refused, by its own reply in synchronous mode', () => {
    expect(acks(detectors.when(close({ detector: 7 })))).toMatchObject([
      { code: 'UNKNOWN_GROUP', result: expect.stringContaining('name its exposures in members') },
    ])
    expect(finishes(detectors.when(close({ detector: 7, answerTo: 'reply.m1' })))).toMatchObject([
      { code: 'UNKNOWN_GROUP' },
    ])
    const named = detectors.when(close({ detector: 7, members: [dataIdOf('E1', 7)] }))
    expect(jobsOf(named)).toMatchObject([{ members: [{ dataId: { obsid: 'E1', detector: 7 }, jobId: null }] }])
  })
})

describe('gather: given up', () => {
  test.each([
    ['open', two],
    ['closing', two.when(close())],
    ['gathering', stacking],
  ] as const)('a group given up while it is %s says so once, under revision 1', (_, now) => {
    const given = now.when(abandon)
    expect(given.state).toBe('abandoned')
    expect(resultsOf(given)).toMatchObject([
      { revision: 1, outcome: 'aborted', message: 'the group was given up: the CSC went to STANDBY' },
    ])
    expect(resultsOf(given.when(abandon, bad('a'), bad('b'), ended(G1, outcome('aborted'))))).toEqual([])
  })

  test('a group given up names who had not settled', () => {
    expect(resultsOf(two.when(good('a'), abandon))).toMatchObject([{ missing: ['E2'] }])
  })

  test('a group given up while it closes again says so under revision 2, without the gather job of revision 1', () => {
    const again = gathered.when(member('c', 'E3'), abandon)
    expect(resultsOf(again)).toMatchObject([{ revision: 2, outcome: 'aborted', jobId: null }])
  })

  test('in synchronous mode who waits for the group is told ABORTED', () => {
    expect(finishes(two.when(close({ answerTo: 'reply.m1' }), abandon))).toMatchObject([{ ack: ACK.ABORTED, error: 1 }])
  })

  test('late members do not bring back a group that was given up; a closing command does', () => {
    const late = two.when(bad('a'), bad('b'), abandon, member('c', 'E3'), good('c'))
    expect(late.state).toBe('abandoned')
    expect(resultsOf(late.when(close()))).toMatchObject([{ revision: 2, outcome: 'partial' }])
  })

  test('a gather pipeline the new configuration does not have gives way to the configured one', () => {
    const { stack: _stack, ...pipelines } = aConfiguration().pipelines
    const configuration = aConfiguration({ pipelines })
    const ruled = group({ pipeline: 'stack' }).when(member('a', 'E1'), good('a'))
    expect(resultsOf(ruled.when(close({ configuration })))).toMatchObject([{ outcome: 'complete', pipeline: null }])
  })
})
